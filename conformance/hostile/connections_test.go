package hostile

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/net/http2"
)

// conns is clients of a connection each, to one port.
func (a *attacker) conns(n int, address string, work func(conn net.Conn) error) {
	a.clients(n, func(int) error {
		conn, err := a.connect(address)
		if err != nil {
			return err
		}
		defer conn.Close()
		return work(conn)
	})
}

// both runs two attacks at once.
func both(one, other func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		other()
	}()
	one()
	<-done
}

// idleConnections: 5,000 clients connect and say nothing.
func idleConnections(a *attacker) {
	a.conns(5000, a.address, func(conn net.Conn) error {
		a.done.Add(1)
		drain(conn)
		return nil
	})
}

// garbage: 64 KB of anything on both ports, as it comes and after a proper beginning.
func garbage(a *attacker) {
	garbage := make([]byte, 64<<10)
	_, _ = rand.Read(garbage)
	throw := func(beginning string) func(conn net.Conn) error {
		return func(conn net.Conn) error {
			a.done.Add(1)
			if _, err := io.WriteString(conn, beginning); err != nil {
				return err
			}
			_, _ = conn.Write(garbage)
			_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			drain(conn)
			return nil
		}
	}
	both(
		func() {
			both(
				func() { a.conns(4, a.address, throw("")) },
				func() { a.conns(4, a.address, throw(http2.ClientPreface)) })
		},
		func() {
			both(
				func() { a.conns(4, a.Metrics, throw("")) },
				func() {
					a.conns(4, a.Metrics, throw("POST /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"))
				})
		})
}

// slowHellos: 1,000 clients of each port send what they have to say a byte a second.
func slowHellos(a *attacker) {
	slowly := func(hello string) func(conn net.Conn) error {
		return func(conn net.Conn) error {
			a.done.Add(1)
			for _, letter := range []byte(hello) {
				if _, err := conn.Write([]byte{letter}); err != nil {
					return err
				}
				a.wait(time.Second)
			}
			return nil
		}
	}
	both(
		func() { a.conns(1000, a.address, slowly(http2.ClientPreface)) },
		func() {
			a.conns(1000, a.Metrics, slowly("GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: text/plain; version=0.0.4\r\n\r\n"))
		})
}

// metricsUnread: 100 clients ask for the metrics ten times a second on one connection each and read nothing.
func metricsUnread(a *attacker) {
	request := fmt.Sprintf("GET /metrics HTTP/1.1\r\nHost: %s\r\n\r\n", a.Metrics)
	a.conns(100, a.Metrics, func(conn net.Conn) error {
		for {
			if _, err := io.WriteString(conn, request); err != nil {
				return err
			}
			a.done.Add(1)
			a.wait(100 * time.Millisecond)
		}
	})
}

// tlsSilence: 1,000 clients of each port that begin no handshake, or half of one.
func tlsSilence(a *attacker) {
	beginning := []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3} // of a ClientHello of 512 bytes
	silent := func(conn net.Conn) error {
		if a.done.Add(1)%2 == 0 {
			if _, err := conn.Write(beginning); err != nil {
				return err
			}
		}
		drain(conn)
		return nil
	}
	both(
		func() { a.conns(1000, a.address, silent) },
		func() { a.conns(1000, a.Metrics, silent) })
}
