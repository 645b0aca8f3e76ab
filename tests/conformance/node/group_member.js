// A member of a consumer group by kafkajs; members/python_member.py tells the language it speaks.
'use strict'

const path = require('node:path')
const readline = require('node:readline')

const peers = process.env.OTTLA_PEERS || path.join(__dirname, '..', '..', '..', '.cache', 'peers')
const { Kafka, logLevel } = require(path.join(peers, 'node', 'node_modules', 'kafkajs'))

const settings = JSON.parse(process.argv[2])
const sessionTimeout = settings.session_timeout_ms || 6000

function tell (event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')
}

async function main () {
  const kafka = new Kafka({
    clientId: 'group-member',
    brokers: settings.bootstrap_servers.split(','),
    logLevel: logLevel.ERROR
  })
  const consumer = kafka.consumer({
    groupId: settings.group,
    sessionTimeout,
    heartbeatInterval: settings.heartbeat_interval_ms || 300,
    // It sends heartbeats between fetches only: a long poll would outlast the session.
    maxWaitTimeInMs: 200,
    metadataMaxAge: settings.metadata_max_age_ms || 1000
  })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const partitions = Object.entries(payload.memberAssignment)
      .flatMap(([topic, numbers]) => numbers.map(number => `${topic}-${number}`))
    tell('assigned', { partitions: partitions.sort() })
  })
  await consumer.connect()
  const topics = settings.pattern ? [new RegExp(settings.pattern)] : settings.topics
  await consumer.subscribe({ topics, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat }) => {
      for (const message of batch.messages) {
        tell('record', {
          partition: `${batch.topic}-${batch.partition}`,
          offset: Number(message.offset),
          value: message.value.toString()
        })
        resolveOffset(message.offset)
      }
      const next = (BigInt(batch.lastOffset()) + 1n).toString()
      await consumer.commitOffsets([
        { topic: batch.topic, partition: batch.partition, offset: next }
      ])
      tell('committed', {})
      await heartbeat()
    }
  })
  readline.createInterface({ input: process.stdin }).on('line', async line => {
    if (line.trim() === 'close') {
      await consumer.disconnect()
      process.exit(0)
    }
  })
}

main().catch(error => {
  console.error(error)
  process.exit(1)
})
