package build

import (
	"sync"
	"testing"
	"time"
)

// A goroutine counts while it is in the function, and not while it waits for a lock.
func TestGoroutinesIn(t *testing.T) {
	const name = "build.stageOfTest("
	if running := goroutinesIn(name); len(running) != 0 {
		t.Fatalf("before: %v", running)
	}
	var lock sync.Mutex
	lock.Lock()
	id, goOn, end := make(chan string), make(chan bool), make(chan bool)
	go func() {
		stageOfTest(id, goOn, &lock)
		close(end)
	}()
	who := <-id
	if running := goroutinesIn(name); len(running) != 1 || !running[who] {
		t.Errorf("running: %v, want %s", running, who)
	}
	if who == goroutine() {
		t.Error("two goroutines have one id")
	}
	close(goOn)
	for deadline := time.Now().Add(10 * time.Second); len(goroutinesIn(name)) > 0; {
		if time.Now().After(deadline) {
			t.Fatal("one that waits for a lock is taken for running")
		}
	}
	lock.Unlock()
	<-end
}

//go:noinline
func stageOfTest(id chan<- string, goOn <-chan bool, lock *sync.Mutex) {
	id <- goroutine()
	<-goOn
	lock.Lock()
	defer lock.Unlock()
}
