// Command apiserver stands for the programs of Kubernetes in the images of the tests: a program of Go that has a module in it.
package main

import (
	"os"

	"golang.org/x/mod/semver"
)

func main() {
	os.Exit(semver.Compare("v1.0.0", os.Args[0]))
}
