"""The WebSocket connection. The only client code that imports websockets."""
