package harness

import ()

const LobbyHooks = "/v1/rooms/lobby/hooks"
