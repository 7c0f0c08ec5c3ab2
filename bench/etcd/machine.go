package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// machine describes where the numbers come from; what the system does not tell is left out.
func machine() string {
	text := fmt.Sprintf("%d cores", runtime.NumCPU())
	if kib, err := strconv.Atoi(field("/proc/meminfo", "MemTotal")); err == nil {
		text += fmt.Sprintf(", %.0f GiB of memory", float64(kib)/(1<<20))
	}
	if model := modelName(); model != "" {
		text += ", " + model
	}
	return text + ", " + runtime.GOOS + "/" + runtime.GOARCH
}

// field returns the first word after the name of a line of a file.
func field(file, name string) string {
	for line := range strings.Lines(read(file)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.Fields(rest + " ?")[0]
		}
	}
	return ""
}

func modelName() string {
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func read(file string) string {
	text, _ := os.ReadFile(file)
	return string(text)
}

// busyNote looks for a second, and warns of a machine that does something else: the peers would get
// different shares of it.
func busyNote() string {
	used, all := processorTime()
	time.Sleep(time.Second)
	usedNow, allNow := processorTime()
	share := (usedNow - used) / (allNow - all)
	if !(share > 0.25) { // also if the system does not tell
		return ""
	}
	return fmt.Sprintf("THE MACHINE WAS BUSY when this began (%.0f %% of its %d cores): the ratios mean little.",
		100*share, runtime.NumCPU())
}

// processorTime returns how long the cores have been in use, also by other machines, and how long they
// have been there.
func processorTime() (used, all float64) {
	for i, text := range strings.Fields(read("/proc/stat")) {
		if i == 0 {
			continue
		}
		ticks, err := strconv.ParseFloat(text, 64)
		if err != nil || i > 8 { // guests are part of user
			break
		}
		all += ticks
		if i != 4 && i != 5 { // idle and waiting for the disk
			used += ticks
		}
	}
	return used, all
}

// programVersion asks HariKube, and looks into the others: kine does not know its version unless its
// own makefile has built it.
func programVersion(bin, program string) (string, error) {
	path := filepath.Join(bin, program)
	if program == "harikube" {
		output, err := exec.Command(path, "version").Output()
		if err != nil {
			return "", fmt.Errorf("%s version: %w", path, err)
		}
		return strings.TrimPrefix(string(bytes.TrimSpace(output)), "harikube "), nil
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "", err
	}
	module := map[string]string{"etcd": "go.etcd.io/etcd/server/v3", "kine": "github.com/k3s-io/kine"}[program]
	version := "of an unknown version"
	if info.Main.Path == module {
		version = info.Main.Version
	}
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			version = dependency.Version
		}
	}
	return fmt.Sprintf("%s (%s)", version, info.GoVersion), nil
}
