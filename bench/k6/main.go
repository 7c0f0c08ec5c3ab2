// Command k6 is k6 itself, built from its module: https://k6.io.
package main

import "go.k6.io/k6/cmd"

func main() {
	cmd.Execute()
}
