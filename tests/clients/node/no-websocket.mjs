// Preloaded: before version 22 Node.js has no WebSocket, without which createClient throws. Queues never open one.
globalThis.WebSocket ??= class {};
