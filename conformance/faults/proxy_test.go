package faults

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// proxy stands between a server and PostgreSQL, and reads what they say to each other.
type proxy struct {
	address string

	mu     sync.Mutex
	target string // host:port; empty: nobody is let in
	links  map[*link]bool
	judge  func(*link, string) verdict // of a statement that is about to be executed; nil: all pass
}

type verdict int

const (
	pass      verdict = iota
	cutBefore         // the connection ends, the database has not had the statement
	cutAfter          // the connection ends, the database has done it, and its answer is lost
)

// link is a connection through the proxy.
type link struct {
	client, server net.Conn
	end            sync.Once

	mu         sync.Mutex
	gate       sync.Cond
	frozen     bool
	ended      bool
	writes     bool              // it has changed something
	statements map[string]string // by name
	swallow    bool              // answers, up to the one that is waited for
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: listener.Addr().String(), target: target, links: map[*link]bool{}}
	t.Cleanup(func() {
		_ = listener.Close()
		p.lead("")
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return p
}

// lead has connections go to another server from now on; those that there are end.
func (p *proxy) lead(target string) {
	p.mu.Lock()
	p.target = target
	p.mu.Unlock()
	p.endAll(func(*link) bool { return true })
}

func (p *proxy) endAll(which func(*link) bool) {
	p.mu.Lock()
	links := p.links
	p.links = map[*link]bool{}
	for l := range links {
		if !which(l) {
			delete(links, l)
			p.links[l] = true
		}
	}
	p.mu.Unlock()
	for l := range links {
		l.cut()
	}
}

// freeze keeps all connections that there are open, and forwards nothing on them any more.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.mu.Lock()
		l.frozen = true
		l.mu.Unlock()
	}
}

func (p *proxy) endFrozen() {
	p.endAll(func(l *link) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.frozen
	})
}

// judgeBy has a function decide over each statement; it is called by several goroutines.
func (p *proxy) judgeBy(judge func(*link, string) verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge = judge
}

func (p *proxy) serve(client net.Conn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	if target == "" {
		_ = client.Close()
		return
	}
	server, err := net.Dial("tcp", target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{client: client, server: server, statements: map[string]string{}}
	l.gate.L = &l.mu
	p.mu.Lock()
	if p.target != target { // it has moved meanwhile
		p.mu.Unlock()
		l.cut()
		return
	}
	p.links[l] = true
	p.mu.Unlock()
	go func() {
		l.backward()
		l.cut()
	}()
	p.forward(l)
	l.cut()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

func (l *link) cut() {
	l.end.Do(func() {
		l.mu.Lock()
		l.ended = true
		l.gate.Broadcast()
		l.mu.Unlock()
		_ = l.client.Close()
		_ = l.server.Close()
	})
}

// pass waits while the connection is frozen, and says whether it is still there.
func (l *link) pass() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.frozen && !l.ended {
		l.gate.Wait()
	}
	return !l.ended
}

// forward passes on what the client says: messages of a type, a length and a body; the first has no type.
func (p *proxy) forward(l *link) {
	first, err := frame(l.client, 0)
	for err == nil && isEncryptionRequest(first) {
		if err = send(l.client, []byte("N")); err == nil {
			first, err = frame(l.client, 0)
		}
	}
	if err != nil || !l.pass() || send(l.server, first) != nil {
		return
	}
	for {
		message, err := frame(l.client, 1)
		if err != nil || !l.pass() {
			return
		}
		if statement := l.statement(message[0], message[5:]); statement != "" {
			p.mu.Lock()
			judge := p.judge
			p.mu.Unlock()
			if judge != nil {
				switch judge(l, statement) {
				case cutBefore:
					return
				case cutAfter:
					l.mu.Lock()
					l.swallow = true
					l.mu.Unlock()
				case pass:
				}
			}
		}
		if send(l.server, message) != nil {
			return
		}
	}
}

// backward passes on what PostgreSQL answers.
func (l *link) backward() {
	for {
		message, err := frame(l.server, 1)
		if err != nil || !l.pass() {
			return
		}
		l.mu.Lock()
		swallow := l.swallow
		l.mu.Unlock()
		if swallow {
			// The transaction is over, or a statement of its own is.
			if message[0] == 'C' && bytes.HasPrefix(message[5:], []byte("COMMIT")) || message[0] == 'Z' {
				return
			}
			continue
		}
		if send(l.client, message) != nil {
			return
		}
	}
}

// statement returns the text of what a message has executed, and remembers what it prepares.
func (l *link) statement(kind byte, body []byte) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	statement := ""
	switch kind {
	case 'Q':
		statement, _, _ = strings.Cut(string(body), "\x00")
	case 'P':
		name, rest, _ := strings.Cut(string(body), "\x00")
		text, _, _ := strings.Cut(rest, "\x00")
		l.statements[name] = text
	case 'B':
		_, rest, _ := strings.Cut(string(body[:min(len(body), 200)]), "\x00")
		name, _, _ := strings.Cut(rest, "\x00")
		statement = l.statements[name]
	}
	statement = strings.TrimSpace(statement)
	if strings.HasPrefix(statement, "INSERT INTO log") || strings.HasPrefix(statement, "UPDATE meta") {
		l.writes = true
	}
	return statement
}

func (l *link) isWriter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.writes
}

// isEncryptionRequest says whether a client asks for TLS or GSSAPI before it begins.
func isEncryptionRequest(first []byte) bool {
	const tls, gssapi = 80877103, 80877104
	request := binary.BigEndian.Uint32(first[4:])
	return len(first) == 8 && (request == tls || request == gssapi)
}

// frame reads a message whose length stands after so many bytes.
func frame(from io.Reader, before int) ([]byte, error) {
	head := make([]byte, before+4)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	message := append(head, make([]byte, binary.BigEndian.Uint32(head[before:])-4)...)
	_, err := io.ReadFull(from, message[before+4:])
	return message, err
}

func send(to io.Writer, message []byte) error {
	_, err := to.Write(message)
	return err
}
