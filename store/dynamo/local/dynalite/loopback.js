// Runs dynalite on a port of the loopback interface: the first argument, 0 for a free one. Prints "listening on PORT"
// when requests are answered, and ends when its standard input does: with whoever started it.
const server = require('dynalite')({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 })

server.listen(Number(process.argv[2]), '127.0.0.1', () => {
  console.log('listening on ' + server.address().port)
})
process.stdin.on('end', () => process.exit(0)).resume()
