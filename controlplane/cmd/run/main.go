// Command run is `make run`: a Kubernetes control plane on HariKube in the foreground, until Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"harikube.io/controlplane"
)

func main() {
	var (
		bin   = flag.String("bin", "build/bin", "folder of the programs")
		data  = flag.String("data", "build/run", "folder of the data, certificates and logs")
		port  = flag.Int("port", 0, "port of the API server (default: 6443, or the next free one)")
		store = flag.String("store", "harikube", "what keeps the data: harikube, or etcd to compare")
		apply = flag.String("apply", "", "a manifest that is applied, if there is one")

		// The database, by default a SQLite file in the data folder. Not a flag: it may have a password.
		endpoint = os.Getenv("HARIKUBE_ENDPOINT")
	)
	flag.Parse()
	if err := run(*bin, *data, *port, *store, *apply, endpoint); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(bin, data string, port int, store, manifest, endpoint string) error {
	config := controlplane.Config{Bin: bin, Data: data, Port: port, Log: func(line string) {
		fmt.Println(line)
	}}
	switch store {
	case "harikube":
		config.Store = controlplane.HariKube{Endpoint: endpoint}
	case "etcd":
		config.Store = controlplane.Etcd{}
	default:
		return fmt.Errorf("there is no store %q: choose harikube or etcd", store)
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	plane, err := controlplane.Start(ctx, config)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return err
	}
	if manifest != "" {
		if err := apply(ctx, filepath.Join(bin, "kubectl"), plane.Kubeconfig, manifest); err != nil {
			plane.Stop(ctx)
			return err
		}
	}
	fmt.Printf(`
Kubernetes is ready. In another terminal:

  export KUBECONFIG=%s
  %s get namespaces

Ctrl-C stops it; the next run continues with the same data.
`, quoted(plane.Kubeconfig), quoted(filepath.Join(bin, "kubectl")))

	failure := plane.Wait(ctx)
	cancel()
	if failure != nil {
		fmt.Fprintf(os.Stderr, "\n%v\n", failure)
	}
	fmt.Println("\nStopping (Ctrl-C: at once).")
	again, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	plane.Stop(again)
	if failure != nil {
		return errors.New("stopped, because a component had stopped on its own (see above)")
	}
	return nil
}

// apply applies a manifest.
func apply(ctx context.Context, kubectl, kubeconfig, manifest string) error {
	cmd := exec.CommandContext(ctx, kubectl, "--kubeconfig="+kubeconfig, "apply", "-f", manifest)
	cmd.Env = append(os.Environ(), "KUBERC=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s is not applied: %w\n%s", manifest, err, out)
	}
	return nil
}

// quoted returns the path as a shell takes it.
func quoted(path string) string {
	if strings.ContainsAny(path, " \t'\"\\$`&;()<>|*?[]#~!{}") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
