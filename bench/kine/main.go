// Command kine serves the etcd API on SQL databases; benchmarks run it beside ours.
package main

import (
	"context"
	"errors"
	"log"
	"os"

	"github.com/k3s-io/kine/pkg/app"
)

func main() {
	if err := app.New().Run(os.Args); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}
