// Package bigvalues does everything that the etcd API has with values of 1.4 MB, of which the heap of the server
// holds only a part.
package bigvalues

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"harikube.io/conformance/postgres"
	"harikube.io/conformance/server"
	"harikube.io/conformance/setting"
)

var (
	build = filepath.Join("..", "..", "build")
	bin   = filepath.Join(build, "bin")
)

const (
	javaOptions = "-Xmx256m"
	// defaultKeys weigh 266 MB; HARIKUBE_BIG_KEYS is another number.
	defaultKeys = 190
	// A step takes no longer than this, unless it hangs.
	within = 2 * time.Minute
	perKey = 200 * time.Millisecond
)

// step is an operation on a store that is as the steps before have left it.
type step struct {
	name string
	run  func(s *store, t *testing.T)
}

// TestEveryOperation does one thing after the other; after each of them the server is still the same
// process, and has in it what it should.
func TestEveryOperation(t *testing.T) {
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			s := open(t, database, setting.Number(t, "HARIKUBE_BIG_KEYS", defaultKeys))
			for _, step := range []step{
				{"put", (*store).puts},
				{"put of what is there", (*store).putsAgain},
				{"range of everything", (*store).rangeOfEverything},
				{"range in pages", (*store).rangeInPages},
				{"range in parts", (*store).rangeInParts},
				{"range in other orders", (*store).rangeInOrder},
				{"range without values", (*store).rangeWithoutValues},
				{"range of the past", (*store).rangeOfThePast},
				{"transaction that reads", (*store).transactionThatReads},
				{"transaction that compares", (*store).transactionThatCompares},
				{"hash", (*store).hash},
				{"snapshot", (*store).snapshot},
				{"watch of the past", (*store).watchOfThePast},
				{"watch that is read slowly", (*store).watchReadSlowly},
				{"watch of one key", (*store).watchOfOneKey},
				{"delete with the values", (*store).deleteWithValues},
				{"revoke", (*store).revoke},
				{"watch of the revocation", (*store).watchOfTheRevocation},
				{"batch of small changes", (*store).batchOfSmallChanges},
				{"delete", (*store).deletePrefix},
				{"gathering of attributes", (*store).gatheringOfAttributes},
				{"compaction and defragmentation", (*store).compaction},
				{"expiry after crashes", (*store).expiryAfterCrashes},
			} {
				passed := t.Run(step.name, func(t *testing.T) {
					began := time.Now()
					defer func() {
						if !s.server.Runs() {
							t.Error("the server has ended")
						}
					}()
					step.run(s, t)
					s.check(t)
					t.Logf("%.1f s", time.Since(began).Seconds())
				})
				if !passed {
					s.again(t)
				}
			}
		})
	}
}

// TestBigSnapshot takes a store of HARIKUBE_BIG_SNAPSHOT big keys from each database to the other.
func TestBigSnapshot(t *testing.T) {
	n := setting.Number(t, "HARIKUBE_BIG_SNAPSHOT", 0)
	if n == 0 {
		t.Skip("SKIPPED: TestEveryOperation takes a smaller one; make test-big-values has one of 2 GB")
	}
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			s := open(t, database, n)
			s.fill(t)
			s.snapshot(t)
			s.check(t)
		})
	}
}

// databases are those that HARIKUBE_BIG_STORES names, or both.
func databases() []string {
	if stores := strings.Fields(os.Getenv("HARIKUBE_BIG_STORES")); len(stores) > 0 {
		return stores
	}
	return []string{"sqlite", "postgres"}
}

func endpoint(t *testing.T, database, folder, name string) string {
	t.Helper()
	if database == "postgres" {
		return postgres.Database(t, bin)
	}
	return (&url.URL{Scheme: "sqlite", Path: filepath.Join(folder, name)}).String()
}

// folder is kept after the test for its log; the data is not.
func folder(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(build, "test-data", "bigvalues", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		data, _ := filepath.Glob(filepath.Join(path, "*.db*"))
		for _, file := range data {
			_ = os.Remove(file)
		}
	})
	return path
}

// open starts a server on an empty database, which is to have so many big keys.
func open(t *testing.T, database string, keys int) *store {
	t.Helper()
	s := &store{database: database, folder: folder(t, database), keys: keys, versions: min(250, keys/2), live: map[string]entry{}}
	t.Setenv("HARIKUBE_JAVA_OPTS", javaOptions+" -Djava.io.tmpdir="+filepath.Join(s.folder, "tmp"))
	s.endpoint = endpoint(t, database, s.folder, "harikube.db")
	s.server = server.HariKube(t, bin, s.folder, s.endpoint)
	s.client = server.Client(t, s.server.Address)
	t.Cleanup(func() { _ = s.client.Close() })
	s.pid = s.server.Pid()
	return s
}

// timed is for what only takes so long when it hangs, and is over when the server has ended.
func (s *store) timed(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within+time.Duration(s.keys)*perKey)
	t.Cleanup(cancel)
	ended := s.server.Done()
	go func() {
		defer cancel()
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}()
	return ctx
}
