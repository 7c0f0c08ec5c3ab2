// Package setting reads what makes tests longer or repeats them.
package setting

import (
	"os"
	"strconv"
	"testing"
)

// Number is the value of an environment variable, or the usual one.
func Number(t testing.TB, variable string, usual int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}
