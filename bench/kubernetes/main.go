// Command kubernetes measures Kubernetes control planes on HariKube and on etcd.
//
//	kubernetes memory      what a growing number of custom resources costs in memory
//	kubernetes selectors   how long a list of 1 among many takes
//	kubernetes challenge   the Kubernetes Performance Challenge
//	kubernetes watches     the lag of 10,000 watches with a selector each
//	kubernetes lists       lists of many objects, by selectors and whole
//	kubernetes parallel    lists of 1 among many beside gets, by 64 clients
//	kubernetes deletions   a namespace and a definition with many objects
//	kubernetes quotas      creations below a quota of many objects
//	kubernetes owners      owners that the controller manager does not see
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are for all measurements.
type options struct {
	bin, out string
	systems  []string
	counts   []int
	clients  int

	rounds           int
	settle           time.Duration
	warmup, duration time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench/kubernetes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	what := ""
	if len(args) > 0 {
		what, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("kubernetes "+what, flag.ContinueOnError)
	var o options
	var systems, counts string
	flags.StringVar(&o.bin, "bin", "build/bin", "folder of the programs")
	flags.StringVar(&o.out, "out", "build/bench-kubernetes", "folder for results, profiles, and data")
	flags.IntVar(&o.clients, "clients", 16, "how many objects are created at a time")
	flags.StringVar(&systems, "systems", "sqlite,postgres,etcd", "what to measure; etcd is Kubernetes without patches")
	least := 1 // of the counts
	var measure func(context.Context, options) error
	switch what {
	case "memory":
		flags.StringVar(&counts, "counts", "2000,200000", "numbers of objects to measure at")
		measure = memory
	case "selectors":
		flags.StringVar(&counts, "counts", "1000,1000000", "numbers of objects to measure at")
		measure = selectors
	case "challenge":
		flags.StringVar(&counts, "counts", "0,50000,200000,1000000", "numbers of objects to measure at")
		flags.IntVar(&o.rounds, "rounds", 3, "how often each is measured; the one with the median score counts")
		flags.DurationVar(&o.settle, "settle", 30*time.Second, "load after the start of a system that does not count")
		flags.DurationVar(&o.warmup, "warmup", 10*time.Second, "the same at each further number of objects")
		flags.DurationVar(&o.duration, "duration", 20*time.Second, "of each measurement")
		measure, least = challenge, 0
	case "lists":
		flags.StringVar(&counts, "counts", "100000", "numbers of objects to measure at")
		measure = measureLists
	case "parallel":
		flags.StringVar(&counts, "counts", "1000000", "numbers of objects to measure at")
		measure = parallel
	case "deletions":
		flags.StringVar(&counts, "counts", "200000", "numbers of objects to delete")
		measure, least = deletions, few+1
	case "quotas":
		flags.StringVar(&counts, "counts", "1000000", "quotas")
		measure, least = quotas, few+1
	case "owners":
		flags.StringVar(&counts, "counts", "100000", "numbers of owners")
		measure, least = owners, 101
	case "garbage":
		flags.StringVar(&counts, "counts", "100000", "numbers of dependents")
		measure, least = garbage, few+1
	case "watches":
		counts = strconv.Itoa(watchers)
		measure = watchLag
	default:
		return fmt.Errorf("%q is no measurement: memory, selectors, challenge, lists, parallel, deletions, quotas, owners, garbage or watches", what)
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.systems = strings.Split(systems, ",")
	for _, text := range strings.Split(counts, ",") {
		count, err := strconv.Atoi(text)
		if err != nil || count < least || (len(o.counts) > 0 && count <= o.counts[len(o.counts)-1]) {
			return fmt.Errorf("-counts %s: not numbers in ascending order, from %d", counts, least)
		}
		o.counts = append(o.counts, count)
	}
	for _, folder := range []*string{&o.bin, &o.out} {
		path, err := filepath.Abs(*folder)
		if err != nil {
			return err
		}
		*folder = path
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	return measure(ctx, o)
}

// each measures system after system, and keeps the results of those that have some.
func each[T any](ctx context.Context, o options, file string, measure func(context.Context, options, string) ([]T, error)) ([]T, error) {
	var all []T
	err := inTurn(ctx, o, o.systems, file, func(_ int, name string) (any, error) {
		results, err := measure(ctx, o, name)
		all = append(all, results...)
		return all, err
	})
	return all, err
}

// inTurn measures one after the other. What all have shown so far goes into a file as it comes: one that
// fails is named, and does not cost the others their results.
func inTurn(ctx context.Context, o options, systems []string, file string, measure func(turn int, name string) (any, error)) error {
	var failures []error
	for turn, name := range systems {
		fmt.Println(name)
		all, err := measure(turn, name)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", name, err))
			if ctx.Err() != nil {
				break
			}
			fmt.Println("   ", failures[len(failures)-1])
			continue
		}
		data, err := json.MarshalIndent(all, "", " ")
		if err == nil {
			err = os.WriteFile(filepath.Join(o.out, file), data, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(failures...)
}
