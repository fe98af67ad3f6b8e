"""The emulated AWS: moto on 127.0.0.1, seeded with a world and made as strict as AWS."""
