// Command run is `make run`: a Kubernetes control plane on HariKube in the foreground, until Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"harikube.io/e2e/controlplane"
)

// defaultPort is Kubernetes' usual one.
const defaultPort = 6443

func main() {
	var (
		bin      = flag.String("bin", "build/bin", "folder of the programs")
		data     = flag.String("data", "build/run", "folder of the data, certificates and logs")
		port     = flag.Int("port", 0, "port of the API server (default: 6443, or the next free one)")
		store    = flag.String("store", "harikube", "what keeps the data: harikube, or etcd to compare")
		endpoint = flag.String("endpoint", "", "database of HariKube (default: a SQLite file in the data folder)")
	)
	flag.Parse()
	if err := run(*bin, *data, *port, *store, *endpoint); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(bin, data string, port int, store, endpoint string) error {
	config := controlplane.Config{Bin: bin, Data: data, Ready: func(component, where string, took time.Duration) {
		fmt.Printf("  %-24s ready after %4.1f s at %s\n", component, took.Seconds(), where)
	}}
	switch store {
	case "harikube":
		config.Store = controlplane.HariKube{Endpoint: endpoint}
	case "etcd":
		config.Store = controlplane.Etcd{}
	default:
		return fmt.Errorf("there is no store %q: choose harikube or etcd", store)
	}
	var err error
	if config.Port, err = choosePort(port); err != nil {
		return err
	}

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if data, err = filepath.Abs(data); err != nil {
		return err
	}
	fmt.Printf("Starting Kubernetes on %s. Data, certificates and logs are in %s.\n", store, data)
	plane, err := controlplane.Start(ctx, config)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	fmt.Printf(`
In another terminal:

  export KUBECONFIG=%s
  %s get namespaces

Ctrl-C stops it; the next run continues with the same data.
`, plane.Kubeconfig, filepath.Join(bin, "kubectl"))

	failure := plane.Wait(ctx)
	cancel()
	fmt.Println("\nStopping (Ctrl-C again: at once).")
	again, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	plane.Stop(again)
	return failure
}

// choosePort returns the wanted port; without a wish a free one, and says so if it is not the usual one.
func choosePort(wanted int) (int, error) {
	if wanted != 0 {
		if !controlplane.PortFree(wanted) {
			return 0, fmt.Errorf("port %d is taken: choose another one, or leave PORT out to get a free one", wanted)
		}
		return wanted, nil
	}
	port, err := controlplane.NextFreePort(defaultPort)
	if err == nil && port != defaultPort {
		fmt.Printf("Port %d is taken: the API server gets %d.\n", defaultPort, port)
	}
	return port, err
}
