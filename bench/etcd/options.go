package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are what the command line selects.
type options struct {
	bin, out        string
	postgres        string
	peers           []string
	loads           []string
	clients         []int // nil: those of each load
	kineClients     []int // nil: the same
	rounds          int
	settle          time.Duration
	warmup, window  time.Duration
	perConnection   int
	valueSize       int
	listKeys        int
	watchers        int
	watchPrefixes   int
	watchWriters    int
	watchRate       int
	soak            time.Duration
	big             int
	kineConnections int
	kineSynchronous string
}

// postgresVariable names a server for the tests and the benchmarks alike.
const postgresVariable = "HARIKUBE_TEST_POSTGRES"

func parseOptions(args []string) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("bench-etcd", flag.ContinueOnError)
	flags.StringVar(&o.bin, "bin", "build/bin", "folder of harikube, etcd, kine and test-postgres")
	flags.StringVar(&o.out, "out", "build/bench-etcd", "folder of the results, the logs and, while it runs, the data")
	flags.StringVar(&o.postgres, "postgres", os.Getenv(postgresVariable),
		"postgres:// URL of a user who may create databases; by default "+postgresVariable+", or else test-postgres is started")
	flags.IntVar(&o.rounds, "rounds", 3, "how often everything is measured; the medians are reported")
	flags.DurationVar(&o.settle, "settle", 20*time.Second, "load of puts, creates, updates, gets and watches after the start of a peer")
	flags.DurationVar(&o.warmup, "warmup", 3*time.Second, "load before each measurement that does not count")
	flags.DurationVar(&o.window, "duration", 5*time.Second, "length of each measurement")
	flags.IntVar(&o.perConnection, "clients-per-connection", 16, "how many clients share a connection")
	flags.IntVar(&o.valueSize, "value-size", 1024, "bytes of a value")
	flags.IntVar(&o.listKeys, "list-keys", 100_000, "keys of the loads of lists")
	flags.IntVar(&o.watchers, "watchers", 1000, "watches of the loads watch and watch-flood")
	flags.IntVar(&o.watchPrefixes, "watch-prefixes", 50, "prefixes that they share")
	flags.IntVar(&o.watchWriters, "watch-writers", 16, "clients that write for these watches")
	flags.IntVar(&o.watchRate, "watch-rate", 500, "writes per second of these clients together, for the load watch")
	flags.DurationVar(&o.soak, "soak", 0, "instead of the loads: have all peers work at the same time for so long")
	flags.IntVar(&o.big, "big", 0, "instead of the loads: how a store of so many keys starts, answers a get and counts")
	flags.IntVar(&o.kineConnections, "kine-connections", 0,
		"the most connections of kine to PostgreSQL; 0, its default: no limit. With as many clients as the limit kine hangs,"+
			" without one requests fail when the server has no more connections to give")
	flags.StringVar(&o.kineSynchronous, "kine-synchronous", "FULL",
		"SQLite's synchronous for kine; NORMAL, its default, loses acknowledged writes when the power fails")
	peers := flags.String("peers", strings.Join(peerNames(), ","), "peers to start")
	loads := flags.String("loads", strings.Join(loadNames(), ","), "loads to measure, in their order")
	clients := flags.String("clients", "", "numbers of clients, instead of those of each load (not for watch)")
	kineClients := flags.String("kine-clients", "", "the same for kine alone, which is slow: what is not in the list is not measured with it")
	quick := flags.Bool("quick", false, "1 round of 2 s after 2 s: whether it works, not how fast it is")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *quick {
		o.beQuick(flags)
	}
	var err error
	if o.peers, err = selection("peers", *peers, peerNames()); err != nil {
		return nil, err
	}
	if o.loads, err = selection("loads", *loads, loadNames()); err != nil {
		return nil, err
	}
	if o.clients, err = numbers("clients", *clients); err != nil {
		return nil, err
	}
	if o.kineClients, err = numbers("kine-clients", *kineClients); err != nil {
		return nil, err
	}
	return o, o.complete()
}

// beQuick shortens what the command line does not set itself.
func (o *options) beQuick(flags *flag.FlagSet) {
	set := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if !set["rounds"] {
		o.rounds = 1
	}
	if !set["settle"] {
		o.settle = 3 * time.Second
	}
	if !set["warmup"] {
		o.warmup = 2 * time.Second
	}
	if !set["duration"] {
		o.window = 2 * time.Second
	}
}

// complete makes the paths absolute, for programs that run in other folders, and checks the numbers.
func (o *options) complete() (err error) {
	if o.rounds < 1 || o.window <= 0 || o.warmup < 0 || o.settle < 0 || o.perConnection < 1 ||
		o.listKeys < 2*rangeLimit || o.watchers < 1 || o.watchPrefixes < 1 || o.watchWriters < 1 || o.watchRate < 1 || o.soak < 0 || o.big < 0 || o.valueSize < minValueSize {
		return fmt.Errorf("a number is too small (values have at least %d bytes)", minValueSize)
	}
	if !slices.Contains([]string{"FULL", "NORMAL"}, o.kineSynchronous) {
		return fmt.Errorf("--kine-synchronous is FULL or NORMAL, not %q", o.kineSynchronous)
	}
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	o.out, err = filepath.Abs(o.out)
	return err
}

// numbers splits a list of numbers of clients; an empty one is none.
func numbers(what, list string) (counts []int, err error) {
	if list == "" {
		return nil, nil
	}
	for field := range strings.SplitSeq(list, ",") {
		count, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || count < 1 {
			return nil, fmt.Errorf("--%s: %q is not a number of clients", what, field)
		}
		counts = append(counts, count)
	}
	return counts, nil
}

// selection splits a list of names, each of which has to be known; a name that is missing would
// otherwise look like a peer that was left out.
func selection(what, list string, known []string) ([]string, error) {
	var chosen []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("--%s: no %q; there are %s", what, name, strings.Join(known, ", "))
		}
		if !slices.Contains(chosen, name) {
			chosen = append(chosen, name)
		}
	}
	return chosen, nil
}
