module http_map

go 1.19
