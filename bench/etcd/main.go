// Command etcd compares HariKube with etcd and kine: the same client, the same loads, the same disk,
// one peer after the other. It prints ratios, which carry over to other machines better than times do;
// the times are in a file beside them.
//
//	make bench-etcd ARGS='--quick --loads puts,gets --clients 1,64'
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench-etcd:", err)
		os.Exit(1)
	}
}

// clientGarbage is how much the client lets its heap grow before it collects. With Go's 100 it collected
// several times a second, of which each took the peers a core for some milliseconds: whoever was asked in
// one of them had the worse p99.
const clientGarbage = 800

func run(ctx context.Context, args []string) error {
	debug.SetGCPercent(clientGarbage)
	options, err := parseOptions(args)
	if err != nil {
		return err
	}
	bench, err := newBench(ctx, options)
	if err != nil {
		return err
	}
	defer bench.close()
	if options.soak > 0 {
		return bench.soak(ctx)
	}
	if options.big > 0 {
		return bench.big(ctx)
	}
	if err := bench.runRounds(ctx); err != nil {
		return err
	}
	return bench.report()
}
