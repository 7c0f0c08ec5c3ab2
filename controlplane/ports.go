package controlplane

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// choosePort returns the port that is asked for, or without one the first free from the usual one on.
func (c *ControlPlane) choosePort() (int, error) {
	if wanted := c.config.Port; wanted != 0 {
		// A program that is just being started has a copy of each listener of ours until it has become that program:
		// a port that we have only looked at may seem taken for some milliseconds.
		for deadline := time.Now().Add(time.Second); !isFree(wanted); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				return 0, fmt.Errorf("port %d is taken: choose another one, or none to get a free one", wanted)
			}
		}
		return wanted, nil
	}
	for port := defaultPort; port <= 65535; port++ {
		if isFree(port) {
			if port != defaultPort {
				c.config.Log(fmt.Sprintf("Port %d is taken, the API server gets %d", defaultPort, port))
			}
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port from %d on is free", defaultPort)
}

// isFree says whether a server could have listened on the port of 127.0.0.1 a moment ago.
func isFree(port int) bool {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	_ = listener.Close()
	return true
}

// given has the ports that FreePort has returned: a server takes its port some seconds later.
var given sync.Map

// FreePort returns a port of 127.0.0.1 that nobody listens on, and never the same twice. It is below those
// that the kernel gives to clients, so that it stays free until the server takes it and after a crash.
func FreePort() (int, error) {
	for range 1000 {
		port := 10_000 + rand.IntN(20_000)
		if _, before := given.LoadOrStore(port, true); !before && isFree(port) {
			return port, nil
		}
	}
	return 0, errors.New("no port from 10000 to 29999 is free")
}
