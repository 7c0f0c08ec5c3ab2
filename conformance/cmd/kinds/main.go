// Command kinds writes which kinds the API servers of several minor versions of Kubernetes serve, and where
// they keep their objects, for the Java tests to compare with: one line of JSON for each version of a kind.
//
// What is served comes from discovery. The place is seen in the log of etcd: each resource is asked for an
// object that there is not, by a name of its own.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"harikube.io/controlplane"
)

// namespace is that of the objects which are asked for; it need not exist.
const namespace = "kinds"

// version is a version of a kind, and what the tests read.
type version struct {
	Group      string `json:"group"`
	Version    string `json:"version"`
	Kind       string `json:"kind"`
	Resource   string `json:"resource"`
	Namespaced bool   `json:"namespaced"`
	Path       string `json:"path"` // between the prefix of all keys and the namespace or name
}

// minors are those that serve a version: as they come, and with all APIs and gates turned on.
type minors struct {
	Default []string `json:"default"`
	All     []string `json:"all"`
}

func main() {
	log.SetFlags(0)
	kubernetes := flag.String("kubernetes", "build/kubernetes", "folder with a folder for each minor version")
	bin := flag.String("bin", "build/bin", "folder of etcd and etcdctl")
	port := flag.Int("port", 0, "port of the API server")
	out := flag.String("out", "kinds.jsonl", "the file to write")
	flag.Parse()
	served := map[version]*minors{}
	for _, minor := range flag.Args() {
		for _, all := range []bool{false, true} {
			found, err := discover(*kubernetes, *bin, *port, minor, all)
			if err != nil {
				log.Fatalf("Kubernetes %s: %v", minor, err)
			}
			log.Printf("Kubernetes %s, all of it %t: %d", minor, all, len(found))
			for _, v := range found {
				if served[v] == nil {
					served[v] = &minors{Default: []string{}}
				}
				if all {
					served[v].All = append(served[v].All, minor)
				} else {
					served[v].Default = append(served[v].Default, minor)
				}
			}
		}
	}
	if err := write(*out, served); err != nil {
		log.Fatal(err)
	}
}

func write(path string, served map[version]*minors) error {
	versions := slices.SortedFunc(maps.Keys(served), func(a, b version) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Version, b.Version))
	})
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	for _, v := range versions {
		line := struct {
			version
			*minors
		}{v, served[v]}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

// discover starts an API server and asks it.
func discover(kubernetes, bin string, port int, minor string, all bool) ([]version, error) {
	data, err := os.MkdirTemp("", "kinds")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(data)
	program, err := filepath.Abs(filepath.Join(kubernetes, minor, "bin", "kube-apiserver"))
	if err != nil {
		return nil, err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return nil, err
	}
	if program, err = filepath.Rel(bin, program); err != nil {
		return nil, err
	}
	args := []string{"--runtime-config=api/all=true", "--feature-gates=AllAlpha=true,AllBeta=true"}
	if !all {
		args = asItComes(minor)
	}
	// It is etcd that reads this: at this level it logs each request.
	if err := os.Setenv("ETCD_LOG_LEVEL", "debug"); err != nil {
		return nil, err
	}
	plane, err := controlplane.Start(context.Background(), controlplane.Config{
		Bin: bin, Data: data, Port: port, Store: controlplane.Etcd{}, Log: func(string) {},
		APIServer: program, APIServerArgs: args, NoControllerManager: true,
	})
	if err != nil {
		return nil, err
	}
	defer plane.Stop(context.Background())
	client, err := plane.Client()
	if err != nil {
		return nil, err
	}
	found, err := resources(client, plane.URL)
	if err != nil {
		return nil, err
	}
	return places(found, client, plane.URL, filepath.Join(data, "log", "etcd.log"))
}

// asItComes takes back what a control plane of ours turns on, which no version has turned on as long as it
// can be turned off.
func asItComes(minor string) []string {
	args := []string{"--runtime-config=admissionregistration.k8s.io/v1beta1=false"}
	if minor == "1.34" || minor == "1.35" {
		args = append(args, "--feature-gates=MutatingAdmissionPolicy=false")
	}
	return args
}

// resources returns all that can be got, in the order of discovery; where they are kept is not known yet.
func resources(client *http.Client, url string) ([]version, error) {
	var groups struct {
		Groups []struct {
			Versions []struct{ GroupVersion string }
		}
	}
	if err := get(client, url+"/apis", &groups); err != nil {
		return nil, err
	}
	paths := []string{"/api/v1"}
	for _, group := range groups.Groups {
		for _, v := range group.Versions {
			paths = append(paths, "/apis/"+v.GroupVersion)
		}
	}
	var found []version
	for _, path := range paths {
		var list struct {
			GroupVersion string
			Resources    []struct {
				Name, Kind string
				Namespaced bool
				Verbs      []string
			}
		}
		if err := get(client, url+path, &list); err != nil {
			return nil, err
		}
		group, name, _ := strings.Cut(list.GroupVersion, "/")
		if name == "" {
			group, name = "", group
		}
		for _, r := range list.Resources {
			if !strings.Contains(r.Name, "/") && slices.Contains(r.Verbs, "get") {
				found = append(found, version{Group: group, Version: name, Kind: r.Kind, Resource: r.Name, Namespaced: r.Namespaced})
			}
		}
	}
	return found, nil
}

// places returns those of the resources that are kept in etcd, with their paths.
func places(resources []version, client *http.Client, url, etcdLog string) ([]version, error) {
	// etcd's log leaves out what is said more than a hundred times in a second, by a server that starts, too.
	for range 5 {
		for i, r := range resources {
			if r.Path != "" {
				continue
			}
			path := "/apis/" + r.Group + "/" + r.Version
			if r.Group == "" {
				path = "/api/" + r.Version
			}
			if r.Namespaced {
				path += "/namespaces/" + namespace
			}
			err := get(client, fmt.Sprintf("%s%s/%s/object-%d.x", url, path, r.Resource, i), nil)
			if !errors.Is(err, errNotFound) {
				return nil, fmt.Errorf("asked for a name that there is not: %w", err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		keys, err := keys(etcdLog)
		if err != nil {
			return nil, err
		}
		for i := range resources {
			resources[i].Path = place(keys, i, resources[i].Namespaced)
		}
	}
	kept := slices.DeleteFunc(resources, func(r version) bool {
		return r.Resource == "componentstatuses" // they are made when they are asked for
	})
	for _, r := range kept {
		if r.Path == "" {
			return nil, fmt.Errorf("%s of %s/%s is nowhere", r.Resource, r.Group, r.Version)
		}
	}
	return kept, nil
}

// place returns where the object of a number is; nothing if no key names it.
func place(keys []string, number int, namespaced bool) string {
	tail := fmt.Sprintf("/object-%d.x", number)
	if namespaced {
		tail = "/" + namespace + tail
	}
	for _, key := range keys {
		if path, found := strings.CutSuffix(key, tail); found {
			return strings.TrimPrefix(path, "/registry/")
		}
	}
	return ""
}

var asked = regexp.MustCompile(`key:\\"(/registry/[^"\\]*/object-\d+\.x)\\"`)

// keys returns the keys of the objects which etcd was asked for.
func keys(etcdLog string) ([]string, error) {
	text, err := os.ReadFile(etcdLog)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, match := range asked.FindAllSubmatch(text, -1) {
		keys = append(keys, string(match[1]))
	}
	return keys, nil
}

var errNotFound = errors.New("not found")

func get(client *http.Client, url string, into any) error {
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s: %w", url, errNotFound)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}
