"""The AWS and Kubernetes providers of an emulated world: the calls and waits of Pulumi's own."""
