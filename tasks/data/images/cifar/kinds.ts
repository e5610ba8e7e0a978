/**
 * What tells CIFAR-10 and CIFAR-100 (Krizhevsky 2009) apart: their classes, and the names of files and fields
 * in each form that they are distributed in.
 *
 * @module
 */

/** One of the two data sets. */
export interface CifarKind {
  /** For messages. */
  readonly title: string;
  /** As in `--task`. */
  readonly task: "cifar10" | "cifar100";
  /** The official names, in the order of the labels. */
  readonly classes: readonly string[];
  /** Means of the channels over the 50,000 official training images. */
  readonly mean: readonly [number, number, number];
  /** Their standard deviations. */
  readonly std: readonly [number, number, number];
  /** Training files of the authors' versions. */
  readonly trainFiles: number;
  /** The authors' binary version. */
  readonly binary: CifarLayout & {
    /** Bytes before an image, the last of them the label. */
    readonly labelBytes: number;
  };
  /** The authors' Python version. */
  readonly pickles: CifarLayout & {
    /** The dictionary's key of the labels. */
    readonly labels: string;
    /** The key of the classes' names in {@linkcode CifarLayout.names}. */
    readonly classes: string;
  };
  /** The Hub's parquet files: columns that hold labels, the first that is there counts. */
  readonly labelColumns: readonly string[];
}

/** Names of files. */
export interface CifarLayout {
  /** The folder that the official archive unpacks to. */
  readonly folder: string;
  /** Training files: a number in the name is the place in their order. */
  readonly train: RegExp;
  /** What a message calls one of these. */
  readonly trainName: string;
  /** The test file. */
  readonly test: string;
  /** The file of the classes' names, which may be missing. */
  readonly names: string;
}

/** CIFAR-10. */
export const CIFAR10: CifarKind = {
  title: "CIFAR-10",
  task: "cifar10",
  classes: "airplane automobile bird cat deer dog frog horse ship truck".split(" "),
  mean: [0.4914, 0.4822, 0.4465],
  std: [0.2470, 0.2435, 0.2616],
  trainFiles: 5,
  binary: {
    folder: "cifar-10-batches-bin",
    train: /^data_batch_(\d+)\.bin$/,
    trainName: "data_batch_<n>.bin",
    test: "test_batch.bin",
    names: "batches.meta.txt",
    labelBytes: 1,
  },
  pickles: {
    folder: "cifar-10-batches-py",
    train: /^data_batch_(\d+)$/,
    trainName: "data_batch_<n>",
    test: "test_batch",
    names: "batches.meta",
    labels: "labels",
    classes: "label_names",
  },
  labelColumns: ["label", "labels"],
};

/** CIFAR-100 with its fine labels. */
export const CIFAR100: CifarKind = {
  title: "CIFAR-100",
  task: "cifar100",
  classes:
    ("apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus " +
      "butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab " +
      "crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard " +
      "lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom " +
      "oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine " +
      "possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake " +
      "spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor " +
      "train trout tulip turtle wardrobe whale willow_tree wolf woman worm").split(" "),
  mean: [0.5071, 0.4865, 0.4409],
  std: [0.2673, 0.2564, 0.2762],
  trainFiles: 1,
  binary: {
    folder: "cifar-100-binary",
    train: /^train\.bin$/,
    trainName: "train.bin",
    test: "test.bin",
    names: "fine_label_names.txt",
    labelBytes: 2,
  },
  pickles: {
    folder: "cifar-100-python",
    train: /^train$/,
    trainName: "train",
    test: "test",
    names: "meta",
    labels: "fine_labels",
    classes: "fine_label_names",
  },
  labelColumns: ["fine_label", "fine_labels"],
};
