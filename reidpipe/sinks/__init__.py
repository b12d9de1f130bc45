"""Where results go: JSON lines, MOTChallenge text, identities with thumbnails, annotated video, run.json."""
