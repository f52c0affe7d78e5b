"""The user of a conversation: a script of sound files, a pipe, a microphone, or typed lines."""
