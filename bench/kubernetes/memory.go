package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	lists       = 500 // by selector, of one object each
	groupLists  = 20  // by selector, of a hundredth of the objects, in pages
	watches     = 100 // by selector, open while objects change
	serverHeap  = "256m"
	settleEvery = 2 * time.Second
	settleTries = 60
)

var programs = []string{"kube-apiserver", "kube-controller-manager", "store"}

// sample is the memory of a program in MiB.
type sample struct {
	resident, heap float64
}

// memory prints what each program needs at each number of objects.
func memory(ctx context.Context, o options) error {
	if err := os.Setenv("HARIKUBE_JAVA_OPTS", "-Xmx"+serverHeap); err != nil {
		return err
	}
	table := "| | objects | kube-apiserver | kube-controller-manager | store |\n|---|---|---|---|---|\n"
	for _, name := range o.systems {
		fmt.Println(name)
		rows, err := memoryOf(ctx, o, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		table += rows
	}
	table += "\nResident MiB (heap in use after a collection), and the ratio to the first row; " +
		"HariKube with -Xmx" + serverHeap + ".\n"
	fmt.Print(table)
	return os.WriteFile(filepath.Join(o.out, "memory.md"), []byte(table), 0o644)
}

func memoryOf(ctx context.Context, o options, name string) (rows string, err error) {
	c, err := startCluster(ctx, o, name)
	if err != nil {
		return "", err
	}
	defer c.stop()
	if err := c.define(ctx, definition("bench.test", "Widget"), widgets); err != nil {
		return "", err
	}
	var first map[string]sample
	for _, count := range o.counts {
		if err := c.grow(ctx, count, o.clients); err != nil {
			return "", err
		}
		if err := c.use(ctx); err != nil {
			return "", err
		}
		samples := map[string]sample{}
		for _, program := range programs {
			if samples[program], err = c.settled(ctx, program, filepath.Join(o.out, fmt.Sprintf("%s-%d-%s.heap", name, count, program))); err != nil {
				return "", err
			}
		}
		if first == nil {
			first = samples
		}
		row := fmt.Sprintf("| %s | %d |", name, count)
		for _, program := range programs {
			s := samples[program]
			row += fmt.Sprintf(" %.0f", s.resident)
			if s.heap > 0 {
				row += fmt.Sprintf(" (%.0f)", s.heap)
			}
			row += fmt.Sprintf(" %.2f× |", s.resident/first[program].resident)
		}
		fmt.Println("    " + row)
		rows += row + "\n"
	}
	return rows, nil
}

// use lists and watches by selectors, as many clients of a big cluster do.
func (c *cluster) use(ctx context.Context) error {
	lists, groupLists := lists, groupLists
	if !c.ours() { // there each list looks at all objects
		lists, groupLists = lists/50, groupLists/10
	}
	for i := range lists {
		n := i * (c.objects / lists)
		for _, selector := range []string{fmt.Sprintf("labelSelector=name%%3Dw%d", n), fmt.Sprintf("fieldSelector=spec.color%%3Dc%d", n)} {
			answer, err := c.do(ctx, http.MethodGet, widgets+"?"+selector, nil)
			if err != nil {
				return err
			}
			var list struct {
				Items []struct{ Metadata struct{ Name string } }
			}
			if err := json.Unmarshal(answer, &list); err != nil {
				return err
			}
			if len(list.Items) != 1 || list.Items[0].Metadata.Name != "w"+strconv.Itoa(n) {
				return fmt.Errorf("a list by %s answers %d objects", selector, len(list.Items))
			}
		}
	}
	for i := range groupLists {
		token := ""
		for page := 0; page == 0 || token != ""; page++ {
			answer, err := c.do(ctx, http.MethodGet, fmt.Sprintf("%s?labelSelector=group%%3Dg%d&limit=100&continue=%s", widgets, i, url.QueryEscape(token)), nil)
			if err != nil {
				return err
			}
			var list struct {
				Metadata struct{ Continue string }
			}
			if err := json.Unmarshal(answer, &list); err != nil {
				return err
			}
			token = list.Metadata.Continue
		}
	}
	return c.watch(ctx)
}

// watch opens watches of one object each, changes their objects, and returns when each has seen its own.
func (c *cluster) watch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	answer, err := c.do(ctx, http.MethodGet, widgets+"?limit=1", nil)
	if err != nil {
		return err
	}
	var list struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return err
	}
	seen := make(chan error, watches)
	for i := range watches {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf(
			"%s%s?watch=true&resourceVersion=%s&labelSelector=name%%3Dw%d", c.URL, widgets, list.Metadata.ResourceVersion, i), nil)
		if err != nil {
			return err
		}
		response, err := c.client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		go func() {
			line, err := bufio.NewReader(response.Body).ReadString('\n')
			if err == nil && !strings.Contains(line, fmt.Sprintf(`"name":"w%d"`, i)) {
				err = fmt.Errorf("the watch of w%d sees %.200s", i, line)
			}
			seen <- err
		}()
	}
	for i := range watches {
		path := fmt.Sprintf("%s/w%d", widgets, i)
		object, err := c.do(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		changed := strings.Replace(string(object), "lorem", time.Now().Format("150405.000000"), 1)
		if _, err := c.do(ctx, http.MethodPut, path, []byte(changed)); err != nil {
			return err
		}
	}
	for range watches {
		if err := <-seen; err != nil {
			return err
		}
	}
	return nil
}

// settled returns the memory of a program once it does not shrink any more: what Go's collector has
// freed is given back little by little.
func (c *cluster) settled(ctx context.Context, program, profile string) (sample, error) {
	p, err := c.Process(program)
	if err != nil {
		return sample{}, err
	}
	var last sample
	for try := 0; ; try++ {
		s := sample{}
		if p.URL != "" {
			if s.heap, err = c.heap(ctx, p.URL, profile); err != nil {
				return sample{}, err
			}
		}
		if s.resident, err = resident(p.PID); err != nil {
			return sample{}, err
		}
		if try > 4 && s.resident > last.resident*0.995 || try == settleTries {
			return s, nil
		}
		last = s
		select {
		case <-ctx.Done():
			return sample{}, ctx.Err()
		case <-time.After(settleEvery):
		}
	}
}

// heap collects the garbage of a Go program, writes what is left into a profile for `go tool pprof`, and
// returns how much it is.
func (c *cluster) heap(ctx context.Context, address, profile string) (mebibytes float64, err error) {
	text, err := c.do(ctx, http.MethodGet, address+"/debug/pprof/heap?gc=1&debug=1", nil)
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(profile, text, 0o644); err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "# HeapAlloc = "); ok {
			bytes, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return bytes / (1 << 20), err
		}
	}
	return 0, fmt.Errorf("%s: no HeapAlloc in the profile", address)
}

func resident(pid int) (mebibytes float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}
