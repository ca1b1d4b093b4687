"""What a station answers over HTTP: pages for people, an interface for machines, and who may ask."""
