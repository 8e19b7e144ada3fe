// Command http_map is the peer of the HTTP benchmark: what a Go programmer writes in an afternoon, a
// map behind a read-write lock on net/http, answering GET and PUT /keys/{key}.
//
// It keeps nothing on disk, checks no Host and knows no limits: all that speaks for it in a comparison.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
)

type store struct {
	lock   sync.RWMutex
	values map[string][]byte
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, "/keys/")
	if key == r.URL.Path || key == "" {
		http.NotFound(w, r)
		return
	}
	switch r.Method {
	case http.MethodGet:
		s.get(w, r, key)
	case http.MethodPut:
		s.put(w, r, key)
	default:
		w.Header().Set("Allow", "GET, PUT")
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (s *store) get(w http.ResponseWriter, r *http.Request, key string) {
	s.lock.RLock()
	value, found := s.values[key]
	s.lock.RUnlock()
	if !found {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if _, err := w.Write(value); err != nil {
		log.Printf("answering %s: %v", key, err)
	}
}

func (s *store) put(w http.ResponseWriter, r *http.Request, key string) {
	value, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.lock.Lock()
	_, found := s.values[key]
	s.values[key] = value
	s.lock.Unlock()
	if !found {
		w.WriteHeader(http.StatusCreated)
	}
}

func main() {
	address := flag.String("listen", "127.0.0.1:0", "address to listen on; port 0 picks a free one")
	flag.Parse()
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	// The first line of output is where it can be reached.
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, &store{values: make(map[string][]byte)}))
}
