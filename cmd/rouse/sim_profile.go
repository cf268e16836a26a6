package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// profiles of one run; nil = none are wanted.
type profiles struct {
	dir    string
	cpu    *os.File
	shot   bool // heap was called
	failed error
}

// measured begins to measure if that is wanted.
func (v *simVerb) measured() (*profiles, error) {
	if !v.Profile {
		return nil, nil //nolint:nilnil // see profiles
	}
	cpu, err := os.Create(filepath.Join(v.Out, "cpu.pprof"))
	if err != nil {
		return nil, err
	}
	return &profiles{dir: v.Out, cpu: cpu}, pprof.StartCPUProfile(cpu)
}

// heap writes down what holds memory when it is called first.
func (p *profiles) heap() {
	if p == nil || p.shot {
		return
	}
	p.shot = true
	file, err := os.Create(filepath.Join(p.dir, "heap.pprof"))
	if err == nil {
		err = errors.Join(pprof.Lookup("heap").WriteTo(file, 0), file.Close())
	}
	p.failed = err
}

// end tells what could not be written.
func (p *profiles) end() error {
	if p == nil {
		return nil
	}
	pprof.StopCPUProfile()
	return errors.Join(p.failed, p.cpu.Close())
}
