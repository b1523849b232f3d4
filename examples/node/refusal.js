// The error of this example.

/** Why there is no credential: `message` is a sentence, `hint` says what helps, or is "". */
export class Refusal extends Error {
  constructor(message, hint = "", code = "") {
    super(message);
    this.hint = hint;
    this.code = code;
  }
}
