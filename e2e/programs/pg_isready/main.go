// Command pg_isready says whether a PostgreSQL takes connections, as the program of that name of PostgreSQL does, which the
// binaries of the tests do not have. It ends with 0 if so, with 1 while the server starts or stops, and with 2 without an answer.
package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

const timeout = 3 * time.Second

func main() {
	host := flag.String("host", "127.0.0.1", "")
	port := flag.String("port", "5432", "")
	user := flag.String("username", "postgres", "")
	flag.Parse()
	address := net.JoinHostPort(*host, *port)
	state := ask(address, *user)
	fmt.Printf("%s - %s\n", address, state)
	os.Exit(int(state))
}

type state int

const (
	accepting state = iota
	rejecting
	silent
)

func (s state) String() string {
	return [...]string{"accepting connections", "rejecting connections", "no response"}[s]
}

// ask begins a session, and looks at the first answer only: what the server thinks of the user does not matter.
func ask(address, user string) state {
	connection, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		return silent
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(timeout)); err != nil {
		return silent
	}
	if _, err := connection.Write(startup(user)); err != nil {
		return silent
	}
	return judge(connection)
}

// startup is the first message of a client: its length, the version 3.0 of the protocol, and the settings.
func startup(user string) []byte {
	settings := "user\x00" + user + "\x00\x00"
	message := binary.BigEndian.AppendUint32(nil, uint32(8+len(settings)))
	message = binary.BigEndian.AppendUint32(message, 3<<16)
	return append(message, settings...)
}

// judge reads the server's first message: a byte for its kind, its length, and in an error fields that begin with a byte. It is
// read to its end, since the server would complain of a connection that is closed before.
func judge(answer io.Reader) state {
	var head [5]byte
	if _, err := io.ReadFull(answer, head[:]); err != nil {
		return silent
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length < 4 || length > 1<<16 {
		return silent
	}
	fields := make([]byte, length-4)
	if _, err := io.ReadFull(answer, fields); err != nil {
		return silent
	}
	// cannot_connect_now: it starts, stops or recovers.
	if head[0] == 'E' && bytes.Contains(fields, []byte("\x00C57P03\x00")) {
		return rejecting
	}
	return accepting
}
