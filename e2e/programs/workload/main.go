// Command workload is what the pods of the end-to-end tests run; `workload` without arguments lists what it can do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

const usage = `workload serve [-listen :8080] [-file FILE] [-every 1s]   answers HTTP requests with the host's name, or with a file;
                                                          says each request, and with -every that time has passed
workload get [-timeout 5s] URL                            prints what is answered, and fails if that is no success
workload connect [-timeout 5s] HOST:PORT                  prints to where a TCP connection was made
workload lookup [-timeout 5s] NAME                        prints the addresses of a host, each on a line
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, out io.Writer) error {
	if len(arguments) == 0 {
		return errors.New("it needs a command\n" + usage)
	}
	flags := flag.NewFlagSet("workload "+arguments[0], flag.ContinueOnError)
	if arguments[0] == "serve" {
		listen := flags.String("listen", ":8080", "")
		file := flags.String("file", "", "")
		every := flags.Duration("every", 0, "")
		if err := flags.Parse(arguments[1:]); err != nil {
			return err
		}
		listener, err := net.Listen("tcp", *listen)
		if err != nil {
			return err
		}
		return serve(ctx, listener, *file, *every, out)
	}

	clients := map[string]func(context.Context, string, io.Writer) error{"get": get, "connect": connect, "lookup": lookup}
	client, ok := clients[arguments[0]]
	if !ok {
		return fmt.Errorf("there is no command %q\n%s", arguments[0], usage)
	}
	timeout := flags.Duration("timeout", 5*time.Second, "")
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("it needs one name\n" + usage)
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	return client(ctx, flags.Arg(0), out)
}

// serve ends at once when it is told: nothing here is worth waiting for.
func serve(ctx context.Context, listener net.Listener, file string, every time.Duration, out io.Writer) error {
	say := make(chan string)
	failed := make(chan error, 1)
	go func() {
		failed <- http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case say <- fmt.Sprintf("%s %s from %s", r.Method, r.URL.Path, r.RemoteAddr):
			case <-ctx.Done():
			}
			answer(w, file)
		}))
	}()
	var tick <-chan time.Time
	if every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		tick = ticker.C
	}
	fmt.Fprintln(out, "listening on", listener.Addr())
	for count := 1; ; {
		select {
		case <-ctx.Done():
			return listener.Close()
		case err := <-failed:
			return err
		case text := <-say:
			fmt.Fprintln(out, text)
		case <-tick:
			fmt.Fprintln(out, "tick", count)
			count++
		}
	}
}

func answer(w http.ResponseWriter, file string) {
	if file == "" {
		name, err := os.Hostname()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, name)
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Write(text)
}

func get(ctx context.Context, url string, out io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	_, err = out.Write(body)
	return err
}

func connect(ctx context.Context, address string, out io.Writer) error {
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, connection.RemoteAddr())
	return connection.Close()
}

func lookup(ctx context.Context, name string, out io.Writer) error {
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	slices.Sort(addresses)
	fmt.Fprintln(out, strings.Join(addresses, "\n"))
	return nil
}
