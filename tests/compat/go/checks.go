// One line per check, a total at the end, a non-zero exit on any failure.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

type checks struct{ passed, failed int }

// check runs body as one check; the next one runs whatever comes of it.
func (c *checks) check(name string, body func() error) {
	if err := body(); err != nil {
		c.failed++
		fmt.Printf("FAIL %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	c.passed++
	fmt.Printf("ok   %s\n", name)
}

func (c *checks) finish() {
	fmt.Printf("%d passed, %d failed\n", c.passed, c.failed)
	if c.failed > 0 {
		os.Exit(1)
	}
}

func equal[T comparable](got, expected T, what string) error {
	if got != expected {
		return fmt.Errorf("%s is %v, not %v", what, got, expected)
	}
	return nil
}

// refused is nil where err is the expected error of the protocol.
func refused(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return fmt.Errorf("the error is %v, not %v", err, expected)
}

// eventually tries until condition holds: metadata may lag behind an answer.
func eventually(what string, condition func() (bool, error)) error {
	deadline := time.Now().Add(15 * time.Second)
	for {
		ok, err := condition()
		if err != nil || ok {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within 15 s: %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
