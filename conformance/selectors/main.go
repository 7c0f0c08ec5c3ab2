// The program selectors writes what Kubernetes itself answers, for the tests of the server's package
// io.harikube.kubernetes to be compared with: which selectors it takes and what they match, what it
// finds in objects as they are stored, and whose deletions admission webhooks and policies look at. Its
// output is the same each time; `make kubernetes-samples` runs it.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"log"
	"os"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	out := flag.String("out", ".", "the folder for the files")
	flag.Parse()
	for name, lines := range map[string]func(func(any)){
		"selectors.jsonl": selectors,
		"objects.jsonl":   objects,
		"custom.jsonl":    custom,
		"admission.jsonl": configurations,
	} {
		if err := write(filepath.Join(*out, name), lines); err != nil {
			log.Fatal(err)
		}
	}
}

// write puts each value that lines hands out on a line of its own.
func write(path string, lines func(func(any))) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	lines(func(line any) {
		if err == nil {
			err = encoder.Encode(line)
		}
	})
	if err != nil {
		return err
	}
	return w.Flush()
}
