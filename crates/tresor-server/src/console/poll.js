// Asking again and again, only while somebody can see the answer.
//
// One question at a time: the next comes some time after the answer. A hidden tab asks nothing, nor does a part of the
// page that is not shown. After a failure it goes on, later where the server says so.

export class Poll {
  /** `ask` is called every so many milliseconds between start and stop; `fail` is told of what it throws. */
  constructor(milliseconds, ask, fail) {
    this.milliseconds = milliseconds;
    this.ask = ask;
    this.fail = fail;
    this.isWanted = false;
    this.isAsking = false;
    this.timer = null;
    document.addEventListener("visibilitychange", () => this.look());
  }

  start() {
    this.isWanted = true;
    this.look();
  }

  stop() {
    this.isWanted = false;
    this.look();
  }

  /** Asks now, or ends waiting, as things are. */
  async look() {
    clearTimeout(this.timer);
    if (!this.isWanted || document.hidden || this.isAsking) {
      return;
    }
    this.isAsking = true;
    let pause = this.milliseconds;
    try {
      await this.ask();
    } catch (error) {
      pause = Math.max(pause, (error.retryAfter ?? 0) * 1000);
      this.fail(error);
    }
    this.isAsking = false;
    if (this.isWanted && !document.hidden) {
      this.timer = setTimeout(() => this.look(), pause);
    }
  }
}
