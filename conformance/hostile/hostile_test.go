// Package hostile is attacked servers: each kind of hostile client in its turn, beside a client that behaves
// and must not notice.
//
// The attackers are processes of their own, of lower priority: what is measured is how the server shares its
// time, not how the machine does.
package hostile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	build = filepath.Join("..", "..", "build")
	bin   = filepath.Join(build, "bin")
)

const (
	heap = "256m"
	// The good client's calls: 99 of 100 take no longer.
	goodWithin = 250 * time.Millisecond
	// fewSlow may take longer when there are not many.
	fewSlow = 3
	// recoverWithin is when everything has to be as before once the attacker is gone, and calmWithin how fast
	// 99 of 100 calls are then.
	recoverWithin = time.Minute
	calmWithin    = 100 * time.Millisecond
	// residentMost is the most memory of the process.
	residentMost = 640 << 20
	// lineMost is what a malformed request may cost in the log, in bytes, on an average.
	lineMost = 400
)

func TestMain(m *testing.M) {
	if order := os.Getenv(attackVariable); order != "" {
		os.Exit(attackNow(order))
	}
	os.Exit(m.Run())
}

// TestHostileClients has HARIKUBE_HOSTILE_TIME for each kind, and runs on HARIKUBE_HOSTILE_STORES.
func TestHostileClients(t *testing.T) {
	lasting := 2 * time.Second
	if text := os.Getenv("HARIKUBE_HOSTILE_TIME"); text != "" {
		var err error
		if lasting, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	stores := strings.Fields(os.Getenv("HARIKUBE_HOSTILE_STORES"))
	if len(stores) == 0 {
		stores = []string{"sqlite"}
	}
	for _, store := range stores {
		t.Run(store, func(t *testing.T) {
			var plain, secure *arena
			for _, kind := range attacks {
				at := &plain
				if kind.tls {
					at = &secure
				}
				if *at == nil {
					*at = newArena(t, store, kind.tls)
				}
				if !t.Run(kind.name, func(t *testing.T) { (*at).attack(t, kind, lasting) }) {
					(*at).close() // the next attack is made on a server that is as it should be
					*at = nil
				}
			}
		})
	}
}

// folder is kept after the test, logs and all; the next one starts anew.
func folder(t *testing.T, store string, tls bool) string {
	t.Helper()
	if tls {
		store += "-tls"
	}
	path, err := filepath.Abs(filepath.Join(build, "test-data", "hostile", store))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
