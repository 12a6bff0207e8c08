package main

import (
	"errors"
	"net"
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// startEtcd gives the address of an etcd on loopback that lasts until it is stopped.
func startEtcd(folder string) (stop func(), address string, err error) {
	config := embed.NewConfig()
	config.Dir = folder
	config.LogLevel = "error"
	client, err := free()
	if err != nil {
		return nil, "", err
	}
	peer, err := free()
	if err != nil {
		return nil, "", err
	}
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, "", err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd.Close, client.String(), nil
	case <-time.After(30 * time.Second):
		etcd.Close()
		return nil, "", errors.New("etcd is not ready after 30 s")
	}
}

// free gives the URL of a port of loopback that nobody listens at.
func free() (url.URL, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return url.URL{}, err
	}
	defer listener.Close()
	return url.URL{Scheme: "http", Host: listener.Addr().String()}, nil
}
