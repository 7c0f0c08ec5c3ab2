// Package gcstories plays random stories of owners and dependents on Kubernetes as it is, and on Kubernetes with HariKube
// where some or all of the objects are hidden from kube-controller-manager: what is left must be the same.
//
// A story is some objects with owner references, most of them right and some wrong, and what is then done to them: deletions
// with each policy, finalizers, other owners, labels. It is written before it is played. The writer knows what Kubernetes'
// collector does, so that the players know what to wait for, and that nothing depends on who is faster: what Kubernetes
// itself may do in two ways is not in a story. leftOut has all of that. Whether HariKube is right is another matter: that
// says the control plane without any of our patches that plays along.
//
// HARIKUBE_STORIES is how many stories there are, and HARIKUBE_CRASH_STORIES how many more while the servers of HariKube are
// killed again and again. HARIKUBE_STORIES_SEED is the seed of the first one.
package gcstories

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"harikube.io/conformance/setting"
)

const (
	// atOnce is how many stories are played at a time.
	atOnce = 16
	// mostStories is how many stories are played on the same control planes.
	mostStories = 400
	// mostDifferences end the test.
	mostDifferences = 8
)

func TestStories(t *testing.T) {
	seed := setting.Number(t, "HARIKUBE_STORIES_SEED", int(rand.Uint32()>>1))
	usual, crashing := setting.Number(t, "HARIKUBE_STORIES", 60), setting.Number(t, "HARIKUBE_CRASH_STORIES", 0)
	inParts(t, "usual", seed, usual, func(t *testing.T, seed, count int) {
		newSides(t).play(t, seed, count, within)
	})
	inParts(t, "crashes", seed+usual, crashing, func(t *testing.T, seed, count int) {
		all := newSides(t)
		stop := all.crashes(t, seed)
		defer stop()
		all.play(t, seed, count, 3*within)
	})
}

// inParts has no more than mostStories played on the same control planes: kube-controller-manager asks for owners that nobody
// serves as long as it runs, and for the others later and later.
func inParts(t *testing.T, name string, seed, count int, play func(t *testing.T, seed, count int)) {
	for first := 0; first < count && !t.Failed(); first += mostStories {
		t.Run(fmt.Sprintf("%s/%d", name, seed+first), func(t *testing.T) {
			play(t, seed+first, min(mostStories, count-first))
		})
	}
}

// play plays stories, several at once, and looks again at the end at how each has ended.
func (all sides) play(t *testing.T, seed, count int, within time.Duration) {
	t.Helper()
	began := time.Now()
	var next, failed atomic.Int64
	played := make([]*play, count)
	var players sync.WaitGroup
	for range atOnce {
		players.Go(func() {
			for failed.Load() < mostDifferences {
				i := int(next.Add(1)) - 1
				if i >= count {
					return
				}
				played[i] = all.tell(t.Context(), seed+i, within)
				if problem := played[i].problem; problem != "" {
					failed.Add(1)
					t.Error(problem)
				}
			}
		})
	}
	players.Wait()
	if err := all.each(func(s *side) error { return s.collects(t.Context(), configMaps, string(elsewhere), "canary") }); err != nil {
		t.Error(err)
	}
	for _, p := range played {
		if p == nil {
			continue
		}
		if p.problem == "" && !p.isAsBefore() {
			t.Error(p.report("something has changed long after the end"))
		}
		p.close()
	}
	t.Log(summary(played) + fmt.Sprintf("; %.0f s", time.Since(began).Seconds()))
}

// play is a story that has been told, or is being told.
type play struct {
	*story
	scenes  []*scene
	done    int // points
	began   time.Time
	within  time.Duration
	problem string
	leftOut map[string]int
}

// tell plays a story to its end, or until there is a difference.
func (all sides) tell(ctx context.Context, seed int, within time.Duration) *play {
	p := &play{began: time.Now(), within: within, leftOut: map[string]int{}, scenes: make([]*scene, len(all))}
	p.story = write(seed, p.leftOut)
	for i, s := range all {
		p.scenes[i] = s.scene(ctx, p.story)
	}
	err := p.each(func(_ int, c *scene) error { return c.open() })
	for err == nil && p.problem == "" && p.done < len(p.points) {
		one := p.points[p.done]
		p.done++
		err = p.act(one)
	}
	if err != nil {
		p.problem = p.report(err.Error())
	}
	return p
}

func (p *play) close() {
	for _, c := range p.scenes {
		c.stop()
	}
}

// each calls a function for all scenes at once, and returns one of the errors.
func (p *play) each(call func(i int, c *scene) error) error {
	errs := make([]error, len(p.scenes))
	var done sync.WaitGroup
	for i, c := range p.scenes {
		done.Go(func() { errs[i] = call(i, c) })
	}
	done.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", p.scenes[i].side.name, err)
		}
	}
	return nil
}

// act does what is to be done, waits until it is quiet, and compares.
func (p *play) act(one point) error {
	foreseen := make([]bool, len(p.scenes))
	err := p.each(func(i int, c *scene) error {
		if err := c.catchUp(one.orphans); err != nil {
			return err
		}
		for _, operation := range one.operations {
			if err := operation.play(c); err != nil {
				return err
			}
		}
		// What kube-controller-manager cannot look up it asks for again after as long as it has been asking.
		foreseen[i] = c.await(one.after, p.within+time.Since(p.began))
		return nil
	})
	if err == nil && slices.Contains(foreseen, false) {
		p.problem = p.report(p.verdict())
	}
	return err
}

// verdict says who differs from whom.
func (p *play) verdict() string {
	reference, _ := p.scenes[0].lines(false)
	var others []string
	for _, c := range p.scenes[1:] {
		if lines, _ := c.lines(false); !slices.Equal(lines, reference) {
			others = append(others, c.side.name)
		}
	}
	if len(others) > 0 {
		return "other than on etcd: " + strings.Join(others, ", ")
	}
	return "Kubernetes as it is does something else than was foreseen, and so does HariKube"
}

func (p *play) isAsBefore() bool {
	return !slices.ContainsFunc(p.scenes, func(c *scene) bool {
		is, _ := c.isAs(p.points[p.done-1].after)
		return !is
	})
}

// report is a story, as far as it has been told, and what there is.
func (p *play) report(problem string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s\nHARIKUBE_STORIES_SEED=%d HARIKUBE_STORIES=1 tells it again; labelled: %v\n", p.name, problem, p.seed, p.modes)
	for i, one := range p.points[:p.done] {
		for _, operation := range one.operations {
			fmt.Fprintf(&text, "%3d %s\n", i+1, operation)
		}
	}
	if p.done == 0 {
		return text.String()
	}
	foreseen := p.points[p.done-1].after.lines(anybody)
	fmt.Fprintf(&text, "--- foreseen\n%s\n", strings.Join(foreseen, "\n"))
	for _, c := range p.scenes {
		lines, _ := c.lines(false)
		labelled, _ := c.lines(true)
		fmt.Fprintf(&text, "--- %s\n%s%s", c.side.name, less("-", foreseen, lines), less("+", lines, foreseen))
		fmt.Fprint(&text, less("with the label:", labelled, lines))
	}
	return text.String()
}

// less are the lines that are not among others, with a sign before each.
func less(sign string, lines, others []string) string {
	var text strings.Builder
	for _, line := range lines {
		if !slices.Contains(others, line) {
			fmt.Fprintf(&text, "%s %s\n", sign, line)
		}
	}
	return text.String()
}

// summary says what has been played.
func summary(played []*play) string {
	stories, points, operations := 0, 0, 0
	modes := [databases]map[mode]int{{}, {}}
	leftOut := map[string]int{}
	for _, p := range played {
		if p == nil {
			continue
		}
		stories++
		points += p.done
		for _, one := range p.points[:p.done] {
			operations += len(one.operations)
		}
		for _, c := range p.scenes[1:] {
			modes[c.database][p.modes[c.database]]++
		}
		for what, count := range p.leftOut {
			leftOut[what] += count
		}
	}
	return fmt.Sprintf("%d stories, %d operations, compared %d times; labelled on SQLite %v, on PostgreSQL %v; left out %v",
		stories, operations, points, modes[0], modes[1], leftOut)
}

// takeoverOneOf is how often a server that loses its database to another one is not killed: that takes longer.
const takeoverOneOf = 5

// crashes kills the servers of HariKube at random moments, until the function is called that it returns. On PostgreSQL
// another server sometimes takes the database over, and is killed.
func (all sides) crashes(t *testing.T, seed int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var killers sync.WaitGroup
	for i, s := range all[1:] {
		r := rand.New(rand.NewPCG(uint64(seed), uint64(i)))
		killers.Go(func() {
			crashes, takeovers := 0, 0
			for range s.moments(ctx, r) {
				end := s.plane.CrashStore
				if isTaken := s.isShared && r.IntN(takeoverOneOf) == 0; isTaken {
					takeovers++
					end = s.plane.TakeStoreOver
				}
				crashes++
				if err := end(t.Context()); err != nil {
					t.Errorf("%s: %v", s.name, err)
					break
				}
			}
			t.Logf("%s: killed %d times, %d of them when another server had taken the database over", s.name, crashes, takeovers)
		})
	}
	return func() {
		cancel()
		killers.Wait()
	}
}

// moments come after some seconds each, until the context ends.
func (s *side) moments(ctx context.Context, r *rand.Rand) func(func(time.Time) bool) {
	return func(yield func(time.Time) bool) {
		for {
			timer := time.NewTimer(time.Duration(1000+r.IntN(7000)) * time.Millisecond)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case now := <-timer.C:
				if !yield(now) {
					return
				}
			}
		}
	}
}
