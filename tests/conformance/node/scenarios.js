// kafkajs: producing, consuming, groups' offsets, administration.
// Prints one JSON line per scenario: {"scenario": name, "error": null or the stack}.
'use strict'

const assert = require('node:assert/strict')
const path = require('node:path')

const peers = process.env.OTTLA_PEERS || path.join(__dirname, '..', '..', '..', '.cache', 'peers')
const {
  CompressionTypes, ConfigResourceTypes, Kafka, logLevel
} = require(path.join(peers, 'node', 'node_modules', 'kafkajs'))

const [bootstrap, prefix] = process.argv.slice(2)
const kafka = new Kafka({
  clientId: 'kafkajs-scenarios', brokers: bootstrap.split(','), logLevel: logLevel.NOTHING
})
const admin = kafka.admin()
let counter = 0

const unique = kind => `${prefix}-${kind}-${++counter}`

async function newTopic (numPartitions = 1, configEntries = []) {
  const topic = unique('topic')
  assert.equal(await admin.createTopics({
    topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }], waitForLeaders: true
  }), true)
  return topic
}

async function withProducer (options, use) {
  const producer = kafka.producer(options)
  await producer.connect()
  try {
    return await use(producer)
  } finally {
    await producer.disconnect()
  }
}

async function consume (topics, groupId, count) {
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  const messages = []
  try {
    await new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${messages.length} of ${count} messages came`)), 20000)
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
      consumer.run({
        eachMessage: async ({ partition, message }) => {
          messages.push({ partition, ...message })
          if (messages.length === count) {
            clearTimeout(timer)
            resolve()
          }
        }
      }).catch(reject)
    })
  } finally {
    await consumer.disconnect()
  }
  return messages
}

const numbered = (count, partition = 0) => Array.from({ length: count }, (_, number) => (
  { value: String(number), partition, timestamp: String(1600000000000 + number) }))

async function eventually (probe, what) {
  const deadline = Date.now() + 20000
  for (;;) {
    const value = await probe()
    if (value) return value
    assert.ok(Date.now() < deadline, `${what}: not in time`)
  }
}

const scenarios = {
  async records_come_back_as_they_went () {
    for (const acks of [0, 1, -1]) {
      for (const compression of [CompressionTypes.None, CompressionTypes.GZIP]) {
        const topic = await newTopic(2)
        const sent = [
          { key: 'key', value: 'value', headers: { a: '1', b: ['2', '3'] }, partition: 0 },
          { key: null, value: 'no key', headers: {}, partition: 0 },
          { key: 'tombstone', value: null, headers: {}, partition: 1 },
          { key: '', value: 'größe'.repeat(1000), headers: {}, partition: 1 }
        ].map((each, number) => ({ ...each, timestamp: String(1600000000000 + number) }))
        await withProducer({}, producer => producer.send({
          topic, acks, compression, messages: sent
        }))
        const messages = await consume([topic], unique('group'), 4)
        const text = buffer => buffer === null ? null : buffer.toString()
        for (const partition of [0, 1]) {
          const want = sent.filter(each => each.partition === partition)
          const got = messages.filter(each => each.partition === partition)
          assert.deepEqual(got.map(each => text(each.key)), want.map(each => each.key))
          assert.deepEqual(got.map(each => text(each.value)), want.map(each => each.value))
          assert.deepEqual(got.map(each => each.timestamp), want.map(each => each.timestamp))
          assert.deepEqual(got.map(each => each.offset), want.map((_, n) => String(n)))
        }
        const headers = messages.find(each => text(each.key) === 'key').headers
        assert.equal(headers.a.toString(), '1')
        assert.deepEqual(headers.b.map(String), ['2', '3'])
      }
    }
  },

  async idempotent_producer () {
    const topic = await newTopic()
    await withProducer({ idempotent: true, maxInFlightRequests: 1 }, async producer => {
      for (let round = 0; round < 20; round++) {
        const [{ baseOffset }] = await producer.send({ topic, messages: numbered(5) })
        assert.equal(baseOffset, String(round * 5))
      }
    })
  },

  async offsets_of_topics () {
    const topic = await newTopic()
    await withProducer({}, producer => producer.send({ topic, messages: numbered(10) }))
    const [ends] = await admin.fetchTopicOffsets(topic)
    assert.deepEqual([ends.low, ends.high], ['0', '10'])
    const [found] = await admin.fetchTopicOffsetsByTimestamp(topic, 1600000000004)
    assert.equal(found.offset, '4')
  },

  async offsets_of_groups () {
    const topic = await newTopic()
    const groupId = unique('group')
    await withProducer({}, producer => producer.send({ topic, messages: numbered(10) }))
    await consume([topic], groupId, 10)
    const offset = async () => (await admin.fetchOffsets({ groupId, topics: [topic] }))[0]
      .partitions[0].offset
    assert.equal(await offset(), '10')
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '4' }] })
    assert.equal(await offset(), '4')
    const { groups: listed } = await admin.listGroups()
    assert.ok(listed.some(each => each.groupId === groupId && each.protocolType === 'consumer'))
    const { groups: [described] } = await admin.describeGroups([groupId])
    assert.equal(described.state, 'Empty')
    const [deleted] = await admin.deleteGroups([groupId])
    assert.equal(deleted.errorCode, 0)
  },

  async topics_and_partitions () {
    const topic = await newTopic(2)
    assert.ok((await admin.listTopics()).includes(topic))
    assert.equal(await admin.createTopics({ topics: [{ topic }] }), false)
    await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
    await eventually(async () => {
      const { topics: [described] } = await admin.fetchTopicMetadata({ topics: [topic] })
      return described.partitions.length === 4
    }, 'four partitions')
    await admin.deleteTopics({ topics: [topic] })
    await eventually(async () => !(await admin.listTopics()).includes(topic), 'it is gone')
  },

  async configs () {
    const name = await newTopic(1, [{ name: 'retention.ms', value: '5000000' }])
    const type = ConfigResourceTypes.TOPIC
    const value = async key => {
      const { resources: [resource] } = await admin.describeConfigs({
        includeSynonyms: false, resources: [{ type, name, configNames: [key] }]
      })
      return resource.configEntries[0].configValue
    }
    assert.equal(await value('retention.ms'), '5000000')
    await admin.alterConfigs({
      resources: [{ type, name, configEntries: [{ name: 'segment.ms', value: '70000' }] }]
    })
    await eventually(async () => await value('segment.ms') === '70000', 'the change')
    assert.equal(await value('retention.ms'), '604800000')
  },

  async deleted_records () {
    const topic = await newTopic()
    await withProducer({}, producer => producer.send({ topic, messages: numbered(10) }))
    await admin.fetchTopicOffsets(topic) // deleteTopicRecords knows leaders from here only
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
    const [{ low }] = await admin.fetchTopicOffsets(topic)
    assert.equal(low, '4')
  },

  async cluster () {
    const { brokers, controller, clusterId } = await admin.describeCluster()
    assert.deepEqual(brokers.map(each => each.nodeId), [controller])
    assert.ok(clusterId)
  },

  async errors () {
    const topic = await newTopic(1, [{ name: 'max.message.bytes', value: '1000' }])
    await withProducer({ retry: { retries: 0 } }, async producer => {
      await assert.rejects(
        producer.send({ topic, messages: [{ value: 'x'.repeat(2000) }] }),
        { type: 'MESSAGE_TOO_LARGE' })
    })
    const bad = { topic: 'no/such?name', numPartitions: 1, replicationFactor: 1 }
    await assert.rejects(admin.createTopics({ topics: [bad] }), error => (
      error.errors.every(each => each.type === 'INVALID_TOPIC_EXCEPTION')))
  }
}

async function main () {
  await admin.connect()
  for (const [scenario, run] of Object.entries(scenarios)) {
    const error = await run().then(() => null, failure => failure.stack)
    process.stdout.write(JSON.stringify({ scenario, error }) + '\n')
  }
  await admin.disconnect()
}

main().then(() => process.exit(0), error => {
  console.error(error)
  process.exit(1)
})
