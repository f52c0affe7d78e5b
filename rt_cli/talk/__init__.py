"""A conversation: the user's sound over the connections of a stream, replies on a virtual loudspeaker, tools."""
