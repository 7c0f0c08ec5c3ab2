package controlplane

import (
	"fmt"
	"net"
)

// PortFree says whether a server could listen on the port of 127.0.0.1 now.
func PortFree(port int) bool {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	_ = listener.Close()
	return true
}

// NextFreePort returns the first free port from the given one on.
func NextFreePort(from int) (int, error) {
	for port := from; port <= 65535; port++ {
		if PortFree(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port from %d on is free", from)
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
