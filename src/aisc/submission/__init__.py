"""What a team sends: safe archives, strict images, findings. Pure: files in, values out."""
