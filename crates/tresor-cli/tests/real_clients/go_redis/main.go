// What a program with go-redis does every day, in the protocol version that it is told.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// Far longer than a loaded machine needs: only a defect runs into it.
const patience = time.Minute

var background = context.Background()

var asked = bufio.NewReader(os.Stdin)

// ask lets the test stop the server, or start it again with the same port and data, and waits until it is done.
func ask(what string) {
	fmt.Println(what)
	answer, err := asked.ReadString('\n')
	must(err)
	check(answer == "done\n", what, answer)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func check(holds bool, what ...any) {
	if !holds {
		panic(fmt.Sprint(what...))
	}
}

// equal checks what a call has answered.
func equal[T comparable](answer interface{ Result() (T, error) }, expected T) {
	found, err := answer.Result()
	must(err)
	check(found == expected, found, " is not ", expected)
}

func options() *redis.Options {
	protocol, err := strconv.Atoi(os.Args[1])
	must(err)
	return &redis.Options{
		Addr:       os.Args[2] + ":" + os.Args[3],
		Password:   os.Args[4],
		DB:         3,
		Protocol:   protocol,
		ClientName: "everyday",
	}
}

func passwords() {
	wrong := options()
	wrong.Password = "wrong"
	stranger := redis.NewClient(wrong)
	defer stranger.Close()
	err := stranger.Ping(background).Err()
	check(err != nil && strings.Contains(err.Error(), "WRONGPASS"), err)
}

func everyday(client *redis.Client) {
	equal(client.Set(background, "name", "Alice", 100*time.Second), "OK")
	equal(client.Get(background, "name"), "Alice")
	check(errors.Is(client.Get(background, "absent").Err(), redis.Nil), "an absent key is redis.Nil")
	equal(client.SetNX(background, "name", "Bob", 0), false)
	equal(client.IncrBy(background, "counter", 42), int64(42))
	equal(client.ClientGetName(background), "everyday")
	lifetime, err := client.TTL(background, "name").Result()
	must(err)
	check(lifetime > 90*time.Second && lifetime <= 100*time.Second, lifetime)

	values, err := client.MGet(background, "name", "absent").Result()
	must(err)
	check(values[0] == "Alice" && values[1] == nil, values)
	var found []string
	keys := client.Scan(background, 0, "*", 1).Iterator()
	for keys.Next(background) {
		found = append(found, keys.Val())
	}
	must(keys.Err())
	sort.Strings(found)
	check(fmt.Sprint(found) == "[counter name]", found)
	err = client.Incr(background, "name").Err()
	check(err != nil && strings.Contains(err.Error(), "not an integer"), err)

	elsewhere := options()
	elsewhere.DB = 0
	other := redis.NewClient(elsewhere)
	defer other.Close()
	check(errors.Is(other.Get(background, "counter").Err(), redis.Nil), "databases are apart")
}

func pipelines(client *redis.Client) {
	answers, err := client.Pipelined(background, func(pipe redis.Pipeliner) error {
		for number := range 5000 {
			pipe.Set(background, fmt.Sprint("p:", number), number, 0)
		}
		return nil
	})
	must(err)
	check(len(answers) == 5000, len(answers))

	var counted *redis.IntCmd
	_, err = client.TxPipelined(background, func(pipe redis.Pipeliner) error {
		counted = pipe.Incr(background, "counter")
		pipe.Expire(background, "counter", time.Hour)
		return nil
	})
	must(err)
	check(counted.Val() == 43, counted)

	err = client.Watch(background, func(transaction *redis.Tx) error {
		must(client.Incr(background, "counter").Err())
		_, err := transaction.TxPipelined(background, func(pipe redis.Pipeliner) error {
			pipe.Set(background, "counter", "of mine", 0)
			return nil
		})
		return err
	}, "counter")
	check(errors.Is(err, redis.TxFailedErr), err)
	equal(client.Get(background, "counter"), "44")
}

// concurrently uses as many connections of the pool as there are cores, and more.
func concurrently(client *redis.Client) {
	var group sync.WaitGroup
	for range 50 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range 20 {
				must(client.Incr(background, "together").Err())
			}
		}()
	}
	group.Wait()
	equal(client.Get(background, "together"), "1000")
}

func hear(listener *redis.PubSub, text string) {
	patient, cancel := context.WithTimeout(background, patience)
	defer cancel()
	message, err := listener.ReceiveMessage(patient)
	must(err)
	check(message.Channel == "news" && message.Payload == text, message)
}

// again calls until there is no error: a subscription tells of a connection that is gone before it makes another.
func again(call func() error) {
	deadline := time.Now().Add(patience)
	for err := call(); err != nil; err = call() {
		check(time.Now().Before(deadline), err)
	}
}

func restart(client *redis.Client, listener *redis.PubSub) {
	ask("stop")
	impatient := options()
	impatient.MaxRetries, impatient.DialerRetries = -1, 1
	stranger := redis.NewClient(impatient)
	defer stranger.Close()
	// It would also log what it answers.
	logging.Disable()
	check(stranger.Ping(background).Err() != nil, "a server that was stopped answers")
	logging.Enable()
	ask("start")
	equal(client.Incr(background, "counter"), int64(45))
	equal(client.Get(background, "p:4999"), "4999")
	again(func() error { _, err := listener.Receive(background); return err })
	equal(client.Publish(background, "news", "it works again"), int64(1))
	hear(listener, "it works again")
}

func main() {
	passwords()
	client := redis.NewClient(options())
	everyday(client)
	pipelines(client)
	concurrently(client)

	listener := client.Subscribe(background, "news")
	_, err := listener.Receive(background)
	must(err)
	equal(client.Publish(background, "news", "it works"), int64(1))
	hear(listener, "it works")
	restart(client, listener)
	must(listener.Close())
	must(client.Close())
	fmt.Println("fine")
}
