package hostile

import (
	"bytes"
	"strings"

	"golang.org/x/net/http2"
)

// endless has 4 connections send frames of a kind without end, so many at a time.
func (a *attacker) endless(count int64, write func(f *http2.Framer)) {
	a.connections(4, everything, func(r *raw) error {
		for {
			if err := r.frames(func(f *http2.Framer) {
				for range count {
					write(f)
				}
			}); err != nil {
				return err
			}
			a.done.Add(count)
		}
	})
}

// rapidReset: ranges of everything that are reset as soon as they are asked for.
func rapidReset(a *attacker) {
	all := envelope(big(0), false)
	a.resets(func(r *raw, f *http2.Framer) { _ = f.WriteData(r.last, true, all) })
}

// headersAndReset: the same without a message.
func headersAndReset(a *attacker) { a.resets(func(*raw, *http2.Framer) {}) }

func (a *attacker) resets(request func(r *raw, f *http2.Framer)) {
	a.connections(4, everything, func(r *raw) error {
		for {
			if err := r.frames(func(f *http2.Framer) {
				for range 100 {
					r.headers(kvRange)
					request(r, f)
					r.open--
					_ = f.WriteRSTStream(r.last, http2.ErrCodeCancel)
				}
			}); err != nil {
				return err
			}
			a.done.Add(100)
		}
	})
}

// headersAlone: 100,000 calls that never send their message.
func headersAlone(a *attacker) {
	a.connections(4, everything, func(r *raw) error {
		for range 25_000 {
			if _, err := r.call(kvRange); err != nil {
				return err
			}
			a.done.Add(1)
		}
		return a.untilThrownOut(r)
	})
}

// pings: each of them wants an answer.
func pings(a *attacker) {
	a.endless(100, func(f *http2.Framer) { _ = f.WritePing(false, [8]byte{1}) })
}

// settings: each of them wants an answer, too.
func settings(a *attacker) {
	a.endless(100, func(f *http2.Framer) {
		_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: firstWindow})
	})
}

// emptyData: data without data, which no window holds up.
func emptyData(a *attacker) {
	a.connections(4, everything, func(r *raw) error {
		stream, err := r.call(kvPut)
		if err != nil {
			return err
		}
		for {
			if err := r.frames(func(f *http2.Framer) {
				for range 100 {
					_ = f.WriteData(stream, false, nil)
				}
			}); err != nil {
				return err
			}
			a.done.Add(100)
		}
	})
}

// continuations: headers that never end.
func continuations(a *attacker) {
	part := bytes.Repeat([]byte{0x82}, 1000) // :method GET, again and again
	a.connections(4, everything, func(r *raw) error {
		if err := r.frames(func(f *http2.Framer) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: part})
		}); err != nil {
			return err
		}
		for {
			if err := r.frames(func(f *http2.Framer) { _ = f.WriteContinuation(1, false, part) }); err != nil {
				return err
			}
			a.done.Add(1)
		}
	})
}

// priorities: of streams that are not there.
func priorities(a *attacker) {
	a.endless(100, func(f *http2.Framer) { _ = f.WritePriority(1, http2.PriorityParam{Weight: 1}) })
}

// windowUpdates: a byte at a time.
func windowUpdates(a *attacker) {
	a.endless(100, func(f *http2.Framer) { _ = f.WriteWindowUpdate(0, 1) })
}

// bigHeaders: 12 KB of headers in each call.
func bigHeaders(a *attacker) {
	value := strings.Repeat("v", 4000)
	var headers []string
	for range 3 {
		headers = append(headers, "hostile", value)
	}
	a.connections(4, everything, func(r *raw) error {
		for range 100 {
			if _, err := r.call(kvRange, headers...); err != nil {
				return err
			}
			a.done.Add(1)
		}
		return r.settled(settle)
	})
}
