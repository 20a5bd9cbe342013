"""The azure transport: the Realtime API of Azure OpenAI, over a WebSocket."""
