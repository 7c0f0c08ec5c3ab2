package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"harikube.io/conformance/server"
)

var sqliteRows = []row{
	{
		name: "disk full", stores: onSqlite, quick: true, refusesPuts: true, lasts: 8 * time.Second,
		setup: smallDisk,
		begin: func(s *site) func() {
			fill(s, filepath.Dir(s.file))
			filled := s.fillLog() // what room the write-ahead log has is used up soon
			return func() {
				filled()
				must(s, os.Remove(filepath.Join(filepath.Dir(s.file), "filler")))
			}
		},
	},
	{name: "a sync fails", stores: onSqlite, quick: true, setup: (*site).preload, begin: once(failSync), lasts: time.Second},
	{name: "a write fails", stores: onSqlite, quick: true, setup: (*site).preload, begin: once(failWrite), lasts: time.Second},
	{name: "a read fails", stores: onSqlite, quick: true, setup: (*site).preload, begin: once(failRead), lasts: time.Second},
	{name: "syncs fail", stores: onSqlite, setup: (*site).preload, begin: again(failSync), lasts: 5 * time.Second},
	{name: "writes fail", stores: onSqlite, setup: (*site).preload, begin: again(failWrite), lasts: 5 * time.Second},
	{name: "reads fail", stores: onSqlite, setup: (*site).preload, begin: again(failRead), lasts: 5 * time.Second},
	{
		name: "locked by another program", stores: onSqlite, quick: true, lasts: 12 * time.Second, refusesPuts: true,
		begin: func(s *site) func() { return s.hold("BEGIN IMMEDIATE") },
	},
	{
		name: "read by another program", stores: onSqlite, quick: true, alone: true, lasts: 14 * time.Second,
		begin: func(s *site) func() {
			end := s.hold("BEGIN", "SELECT * FROM log")
			gaps, filled := s.gaps(), s.fillLog()
			return func() {
				end()
				filled()
				if gap := gaps(); gap > time.Second {
					s.t.Errorf("there was no write for %.1f s", gap.Seconds())
				}
			}
		},
	},
	{name: "a second server", stores: onSqlite, quick: true, begin: func(s *site) func() {
		folder := filepath.Join(s.folder, "second")
		link, hard := filepath.Join(folder, "link.db"), filepath.Join(folder, "hard.db")
		must(s, os.Mkdir(folder, 0o755))
		must(s, os.Symlink(s.file, link))
		refused(s, s.file)
		refused(s, link)
		must(s, os.Link(s.file, hard))
		refused(s, hard)
		must(s, os.Remove(hard))
		return func() {}
	}},
}

// smallDisk puts the database on a file system of its own, which can be filled.
func smallDisk(s *site) {
	disk := filepath.Join(s.folder, "disk")
	must(s, os.Mkdir(disk, 0o755))
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64m"); err != nil {
		s.t.Skipf("NOT TESTED: only root can mount a small disk to fill: %v", err)
	}
	s.t.Cleanup(func() {
		if s.server != nil {
			s.server.Stop()
			_ = os.CopyFS(filepath.Join(s.folder, "database"), os.DirFS(disk))
		}
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			s.t.Error(err)
		}
	})
	s.file = filepath.Join(disk, "harikube.db")
	s.endpoint = sqliteURL(s.file)
}

// fill leaves no room in the file system of a folder.
func fill(s *site, folder string) {
	file, err := os.Create(filepath.Join(folder, "filler"))
	must(s, err)
	defer file.Close()
	block := make([]byte, 1<<20)
	for size := len(block); size >= 512; size /= 2 {
		for err = nil; err == nil; {
			_, err = file.Write(block[:size])
		}
	}
}

// once has one call fail, some calls from now.
func once(what int) func(*site) func() {
	return func(s *site) func() {
		s.shim.set(s.t, what, 3)
		return func() {
			if left := s.shim.get(s.t, what); left > 0 {
				s.t.Errorf("no call has failed, the count is at %d", left)
			}
		}
	}
}

// again has some call fail over and over.
func again(what int) func(*site) func() {
	return func(s *site) func() {
		stop, done := make(chan struct{}), make(chan int)
		go func() {
			failed := 0
			for n := int64(1); ; n++ {
				select {
				case <-stop:
					done <- failed
					return
				case <-time.After(50 * time.Millisecond):
				}
				if s.shim.get(s.t, what) <= 0 {
					failed++
					s.shim.set(s.t, what, 1+n%7)
				}
			}
		}()
		return func() {
			close(stop)
			if failed := <-done; failed < 2 {
				s.t.Errorf("only %d calls have failed", failed)
			}
			s.shim.set(s.t, what, 0)
		}
	}
}

// fillLog has clients write so much that SQLite's write-ahead log would begin anew, until the function that
// it returns is called.
func (s *site) fillLog() func() {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for id := range 3 {
		running.Go(func() {
			client := server.Client(s.t, s.server.Address)
			defer client.Close()
			value, key := strings.Repeat("x", 400_000), fmt.Sprintf("/large/%d", id)
			for bytes := 0; ctx.Err() == nil && bytes < logLimit; bytes += len(value) {
				attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
				_, _ = client.Put(attempt, key, value)
				cancel()
			}
		})
	}
	return func() {
		stop()
		running.Wait()
	}
}

// logLimit is how large the server lets SQLite's write-ahead log grow, and as much as each client writes.
const logLimit = 64 << 20

// gaps looks for the longest time without an acknowledged write until the function that it returns is called.
func (s *site) gaps() func() time.Duration {
	stop, longest := make(chan struct{}), make(chan time.Duration)
	go func() {
		var most time.Duration
		for {
			most = max(most, time.Since(s.load.LastWrite()))
			select {
			case <-stop:
				longest <- most
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		return <-longest
	}
}

// refused starts a second server on a file, which has to end by itself and leave the first one alone.
func refused(s *site, file string) {
	s.t.Helper()
	second := server.HariKubeWith(s.t, bin, filepath.Join(s.folder, "second"), sqliteURL(file), server.Options{})
	second.Launch(s.t)
	select {
	case <-second.Done():
		if second.ExitCode() == 0 {
			s.t.Errorf("the second server, on %s, has ended well", file)
		}
	case <-time.After(10 * time.Second):
		s.t.Errorf("a second server runs on %s", file)
		second.Kill()
	}
}

func must(s *site, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
