// Package crash kills HariKube, or PostgreSQL under it, again and again while clients are at work, and
// checks by the model that what was acknowledged is there, and nothing else.
package crash

import (
	"context"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"harikube.io/conformance/model"
	"harikube.io/conformance/postgres"
	"harikube.io/conformance/server"
	"harikube.io/conformance/setting"
)

var (
	build = filepath.Join("..", "..", "build")
	bin   = filepath.Join(build, "bin")
)

const (
	prefix = "/crash/"
	// A crash comes after this many acknowledged writes of a round, and up to as many more.
	writesBeforeCrash = 250
	// So many come after PostgreSQL is back.
	writesAfterCrash = 100
	// within is for everything that only takes so long when it hangs.
	within = time.Minute
)

// TestServerCrash kills the server; a new one takes its place on the same data.
func TestServerCrash(t *testing.T) {
	for _, store := range []string{"sqlite", "postgres"} {
		t.Run(store, func(t *testing.T) {
			folder := folder(t, "server-"+store)
			endpoint := url.URL{Scheme: "sqlite", Path: filepath.Join(folder, "harikube.db")}
			database := endpoint.String()
			if store == "postgres" {
				database = postgres.Database(t, bin)
			}
			s := server.HariKube(t, bin, folder, database)
			crashes(t, s, setting.Number(t, "HARIKUBE_CRASH_ROUNDS", 3), func(round int, l *model.Load) {
				s.Kill()
				if round%3 == 2 { // and again before it is ready
					s.Launch(t)
					s.Kill()
				}
				s.Start(t)
				l.Progress(time.Now(), within)
			})
		})
	}
}

// TestPostgresCrash kills PostgreSQL; the server stays, and so do its clients.
func TestPostgresCrash(t *testing.T) {
	database := postgres.Start(t, bin)
	s := server.HariKube(t, bin, folder(t, "postgres"), database.URL)
	crashes(t, s, setting.Number(t, "HARIKUBE_POSTGRES_CRASH_ROUNDS", 2), func(_ int, l *model.Load) {
		database.Crash(t)
		l.Acknowledged(writesAfterCrash)
	})
}

// crashes has clients work through some crashes, and looks at what has become of it after each of them.
func crashes(t *testing.T, s *server.Server, rounds int, crash func(round int, l *model.Load)) {
	t.Helper()
	var history []model.Event
	for round := range rounds {
		began := time.Now()
		l := model.New(t, s.Address, prefix)
		l.Start()
		l.Acknowledged(writesBeforeCrash + rand.IntN(writesBeforeCrash))
		crash(round, l)
		l.Stop()
		history = append(history, l.Check()...)
		if t.Failed() {
			t.FailNow() // what comes after would only repeat it
		}
		t.Logf("round %d: %s; %.1f s", round+1, l.Summary(), time.Since(began).Seconds())
	}
	// The whole log has to be what it was round by round.
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	again, err := model.History(ctx, t, s.Address, 1, history[len(history)-1].Revision)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(history, again) {
		t.Errorf("the log, read again, has %d events that are not the %d of before", len(again), len(history))
	}
}

// folder is kept after the test, logs and all; the next one starts anew.
func folder(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(build, "test-data", "crash", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
