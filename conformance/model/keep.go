package model

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"slices"
)

// Keep writes what clients were told to a file, for whoever looks into a failure.
func (l *Load) Keep(file string) error {
	to, err := os.Create(file)
	if err != nil {
		return err
	}
	defer to.Close()
	out := bufio.NewWriter(to)
	l.mu.Lock()
	for _, revision := range slices.Sorted(maps.Keys(l.acks)) {
		fmt.Fprintln(out, "acknowledged", revision, brief(l.acks[revision]))
	}
	for _, m := range l.maybe {
		fmt.Fprintln(out, "unknown", brief(m.writes), "found:", m.came)
	}
	for value, why := range l.never {
		fmt.Fprintln(out, "refused", short12(value), why)
	}
	for _, r := range l.reads {
		fmt.Fprintln(out, "read", r.what, r.key, r.revision, r.found)
	}
	for _, what := range l.wrong {
		fmt.Fprintln(out, "wrong", what)
	}
	l.mu.Unlock()
	for i, w := range l.watch {
		w.mu.Lock()
		for _, s := range w.segments {
			fmt.Fprintln(out, "watcher", i+1, w.prefix, "from", s.from, "end", s.end, s.compacted)
			for _, e := range s.events {
				fmt.Fprintln(out, "  ", e.Revision, e.Key, short12(e.Value), "after", e.PreviousRevision)
			}
		}
		w.mu.Unlock()
	}
	return out.Flush()
}
