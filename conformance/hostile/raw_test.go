package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// mostUnwritten is about what is framed ahead.
	mostUnwritten = 64 << 10
	frameSize     = 16 << 10 // the largest frame that every server takes
	firstWindow   = 64<<10 - 1
	dialWithin    = 5 * time.Second
)

// raw is an HTTP/2 connection that sends what it likes. It keeps the windows that the server grants, so that
// what is sent is what the server has let in; of the answers it takes only what reading says.
type raw struct {
	net.Conn
	reading reading
	seen    func(stream uint32, status string) // of each stream that the server ends

	mu      sync.Mutex // of all that follows
	change  *sync.Cond
	framer  *http2.Framer
	out     bytes.Buffer // what has been framed and is not yet being written
	encoder *hpack.Encoder
	header  bytes.Buffer
	last    uint32 // the newest stream
	open    int    // streams that the server has not ended
	window  int64  // of the connection
	first   int64  // of a new stream
	windows map[uint32]int64
	failed  error
	stop    func() bool
}

// reading is what a client does with the answers.
type reading int

const (
	everything reading = iota
	nothing            // of the data: it lies in the server; pings and settings are answered
	deaf               // not even the socket is read
	little             // of the data, slowly: 64 KiB each 100 ms
)

// dial connects, and says hello.
func (a *attacker) dial(how reading) (*raw, error) {
	conn, err := a.connect(a.address)
	if err != nil {
		return nil, err
	}
	r := &raw{Conn: conn, reading: how, window: firstWindow, first: firstWindow, windows: map[uint32]int64{}, seen: a.answered}
	r.change = sync.NewCond(&r.mu)
	r.framer = http2.NewFramer(&r.out, conn)
	r.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	r.encoder = hpack.NewEncoder(&r.header)
	r.out.WriteString(http2.ClientPreface)
	_ = r.framer.WriteSettings()
	r.stop = context.AfterFunc(a.ctx, func() { r.fail(net.ErrClosed) })
	go r.write()
	if how != deaf {
		go r.read()
	}
	return r, nil
}

// connect opens a connection that is closed when the attack ends.
func (a *attacker) connect(address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialWithin}
	conn, err := dialer.DialContext(a.ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(a.ctx, func() { conn.Close() })
	return &closing{conn, stop}, nil
}

// closing lets go of what waits for the end of the attack.
type closing struct {
	net.Conn
	stop func() bool
}

func (c *closing) Close() error {
	c.stop()
	return c.Conn.Close()
}

// write writes what has been framed, until the connection ends.
func (r *raw) write() {
	var batch bytes.Buffer
	for {
		r.mu.Lock()
		for r.out.Len() == 0 && r.failed == nil {
			r.change.Wait()
		}
		if r.failed != nil {
			r.mu.Unlock()
			return
		}
		batch, r.out = r.out, batch
		r.change.Broadcast()
		r.mu.Unlock()
		if _, err := r.Conn.Write(batch.Bytes()); err != nil {
			r.fail(err)
		}
		batch.Reset()
	}
}

// room waits until what has been framed is being written. The lock is held.
func (r *raw) room() error {
	for r.out.Len() > mostUnwritten && r.failed == nil {
		r.change.Wait()
	}
	r.change.Broadcast()
	return r.failed
}

func (r *raw) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = err
	}
	r.change.Broadcast()
	r.Conn.Close()
}

// Close ends the connection, and those who wait for it.
func (r *raw) Close() error {
	r.stop()
	r.fail(net.ErrClosed)
	return nil
}

// frames writes frames of any kind.
func (r *raw) frames(write func(f *http2.Framer)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	write(r.framer)
	return r.room()
}

// call opens a stream with the headers of a gRPC call.
func (r *raw) call(method string, headers ...string) (uint32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	stream := r.headers(method, headers...)
	return stream, r.room()
}

func (r *raw) headers(method string, more ...string) uint32 {
	if r.last == 0 {
		r.last = 1
	} else {
		r.last += 2
	}
	r.open++
	r.header.Reset()
	for i, all := 0, append([]string{
		":method", "POST", ":scheme", "http", ":path", method, ":authority", "hostile",
		"content-type", "application/grpc", "te", "trailers",
	}, more...); i < len(all); i += 2 {
		_ = r.encoder.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]})
	}
	_ = r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: r.last, BlockFragment: r.header.Bytes(), EndHeaders: true})
	return r.last
}

// request makes a whole call of one message, and does not wait for the answer.
func (r *raw) request(method string, message []byte, headers ...string) error {
	stream, err := r.call(method, headers...)
	if err != nil {
		return err
	}
	return r.send(stream, envelope(message, len(headers) > 0), true)
}

// envelope is a message as gRPC sends it.
func envelope(message []byte, compressed bool) []byte {
	envelope := make([]byte, 5, 5+len(message))
	if compressed {
		envelope[0] = 1
	}
	binary.BigEndian.PutUint32(envelope[1:], uint32(len(message)))
	return append(envelope, message...)
}

// send sends data as fast as the server grants windows for it.
func (r *raw) send(stream uint32, data []byte, end bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for first := true; first || len(data) > 0; first = false {
		for len(data) > 0 && min(r.window, r.streamWindow(stream)) <= 0 && r.failed == nil {
			r.change.Wait()
		}
		if r.failed != nil {
			return r.failed
		}
		n := min(int64(len(data)), frameSize, max(0, r.window), max(0, r.streamWindow(stream)))
		part := data[:n]
		data = data[n:]
		r.window -= n
		if end && len(data) == 0 {
			delete(r.windows, stream)
		} else {
			r.windows[stream] = r.streamWindow(stream) - n
		}
		_ = r.framer.WriteData(stream, end && len(data) == 0, part)
		if err := r.room(); err != nil {
			return err
		}
	}
	return nil
}

func (r *raw) streamWindow(stream uint32) int64 {
	if window, known := r.windows[stream]; known {
		return window
	}
	return r.first
}

// settled waits until the server has ended all streams, or the time is over.
func (r *raw) settled(within time.Duration) error {
	deadline := time.Now().Add(within)
	timer := time.AfterFunc(within, r.change.Broadcast)
	defer timer.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.open > 0 && r.failed == nil && time.Now().Before(deadline) {
		r.change.Wait()
	}
	if r.failed == nil && r.open > 0 {
		return errors.New("no answer")
	}
	return r.failed
}

// read takes what the server sends until the connection ends.
func (r *raw) read() {
	for {
		frame, err := r.framer.ReadFrame()
		var stream http2.StreamError
		if errors.As(err, &stream) {
			continue
		}
		if err == nil {
			err = r.take(frame)
		}
		if err != nil {
			r.fail(err)
			return
		}
		if data, is := frame.(*http2.DataFrame); is && r.reading == little {
			time.Sleep(time.Duration(data.Length) * 100 * time.Millisecond / (64 << 10))
		}
	}
}

func (r *raw) take(frame http2.Frame) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.change.Broadcast()
	stream := frame.Header().StreamID
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		if value, given := f.Value(http2.SettingInitialWindowSize); given {
			for open := range r.windows {
				r.windows[open] += int64(value) - r.first
			}
			r.first = int64(value)
		}
		_ = r.framer.WriteSettingsAck()
	case *http2.PingFrame:
		if f.IsAck() {
			return nil
		}
		_ = r.framer.WritePing(true, f.Data)
	case *http2.WindowUpdateFrame:
		if stream == 0 {
			r.window += int64(f.Increment)
		} else if window, known := r.windows[stream]; known {
			r.windows[stream] = window + int64(f.Increment)
		}
		return nil
	case *http2.DataFrame:
		if f.Length == 0 || r.reading == nothing {
			return nil
		}
		_ = r.framer.WriteWindowUpdate(0, f.Length)
		if !f.StreamEnded() {
			_ = r.framer.WriteWindowUpdate(stream, f.Length)
		}
	case *http2.MetaHeadersFrame:
		if f.StreamEnded() {
			r.ended(stream, status(f))
		}
		return nil
	case *http2.RSTStreamFrame:
		r.ended(stream, f.ErrCode.String())
		return nil
	case *http2.GoAwayFrame:
		r.seen(0, "GOAWAY "+f.ErrCode.String()+" "+string(f.DebugData()))
		if f.ErrCode != http2.ErrCodeNo {
			return fmt.Errorf("GOAWAY %s", f.ErrCode)
		}
		return nil
	default:
		return nil
	}
	return nil
}

func (r *raw) ended(stream uint32, status string) {
	r.open--
	delete(r.windows, stream)
	r.seen(stream, status)
}

func status(f *http2.MetaHeadersFrame) string {
	for _, field := range f.Fields {
		if field.Name == "grpc-status" {
			return "code " + field.Value
		}
	}
	return "HTTP " + f.PseudoValue("status")
}

// drain reads and forgets.
func drain(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
