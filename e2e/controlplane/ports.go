package controlplane

import (
	"fmt"
	"net"
)

// choosePort returns the port that is asked for, or without one the first free from the usual one on.
func (c *ControlPlane) choosePort() (int, error) {
	if wanted := c.config.Port; wanted != 0 {
		if !isFree(wanted) {
			return 0, fmt.Errorf("port %d is taken: choose another one, or none to get a free one", wanted)
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

// freePorts returns different ports that nobody listened on a moment ago.
func freePorts(count int) ([]int, error) {
	ports := make([]int, count)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close() // only now: or the next one could get the same
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
