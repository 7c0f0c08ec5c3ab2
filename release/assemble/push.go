package main

import (
	"fmt"
	"io"
)

func pushSignaturesCommand(dist, registry string, stdout io.Writer) error {
	return fmt.Errorf("not yet")
}
